"""Chat templates of strangers end, and those of models write what the library writes."""

from __future__ import annotations

import resource
import time

import pytest

from finetune.errors import DataError, InputError, RecipeError
from finetune.models import template
from tests.support.problems import raises
from tests.support.tiny import CHATML, tiny_tokenizer

TURNS = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Sannu </think> <|im_end|> {{ x }} é"},
    {"role": "assistant", "content": "<think>a\nb</think>\n\nSannu, 12! "},
    {"role": "user", "content": "  Ina kwana?\n"},
]
OF_MODELS = {
    "chatml": CHATML,
    "thinking": """
{%- set ns = namespace(multi_step_tool=true, last=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == 'user' and message.content is string
        and not (message.content.startswith('<t>') and message.content.endswith('</t>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last = index %}
    {%- endif %}
{%- endfor %}
{%- for m in messages %}
    {%- if m.role == 'assistant' %}
        {%- set content = m.content.split('</think>')[-1].lstrip('\\n') %}
        {%- set why = m.content.split('</think>')[0].rstrip('\\n').split('<think>')[-1] %}
        {{- '<|im_start|>' + m.role + '\\n' ~ why ~ content|trim + '<|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}x{%- endif %}
{%- endif %}
""",
    "headers": """
{% set loop_messages = messages %}
{% for message in loop_messages %}
{% set content = '<|start|>' + message['role'] + '<|end|>' + message['content']|trim + '<|eot|>' %}
{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}
{% endfor %}{% if add_generation_prompt %}{{ 'assistant' }}{% endif %}
""",
    "system in the first turn": """
{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
{%- set first = messages[0]['content'] + '\n\n' -%}{%- set rest = messages[1:] -%}
{%- else -%}{%- set first = '' -%}{%- set rest = messages -%}{%- endif -%}
{%- for message in rest -%}
{%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
{{ raise_exception('roles must alternate') }}
{%- endif -%}
{{ '<turn>' + (message['role']|replace('assistant', 'model')) + '\n'
   + (first if loop.first else '') }}
{{ message['content'] | trim }}{{ '<end>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{'<turn>model\n'}}{%- endif -%}
""",
    "macros": """
{% macro turn(m, last=false) %}[{{ m.role|upper }}]{{ m.content|tojson }}{{ last }}{% endmacro %}
{% for m in messages %}
{% generation %}{{ turn(m, last=loop.last) }}{% endgeneration %}
{% if loop.last %}{% break %}{% endif %}
{% endfor %}
{{ messages|map(attribute='role')|join(', ') }}{{ ','.join(['a', 'b']) }}
{{ messages|selectattr('role', 'equalto', 'user')|list|length }}{{ tools is none }}
{{ '%s-%d'|format('a', 3) }}{{ '{}'.format(1.5) }}{{ dict(a=1)|items|list }}
{{ 'x' in messages[1].content }}{{ (3 * 'ab')[1:4] }}{{ 7 // 2 ** 2 % 5 }}{{ none }}{{ nothing }}
""",
}
GROW = "{% for i in range(99) %}"
END = "{% endfor %}"
MANY = "{% for i in range(99999) %}"
S = "{% set s = 'a' * 99999 %}"
ENDLESS = {
    "loops": MANY + "{% for j in range(99999) %}" + END + END,
    "written": MANY + "{% for j in range(99999) %}x" + END + END,
    "a long text": MANY + "y" * 99999 + END,
    "a text times a number": "{{ 'a' * 10000000000 }}",
    "a list times a number": "{% set n = 99999 %}{{ [1] * (n * n) }}",
    "powers": "{% set n = 9 ** 999 %}{{ n ** n }}",
    "squares": "{% set x = namespace(v=9) %}" + GROW + "{% set x.v = x.v * x.v %}" + END,
    "doubled text": "{% set x = namespace(v='a') %}" + GROW + "{% set x.v = x.v ~ x.v %}" + END,
    "added text": "{% set x = namespace(v='a') %}" + GROW + "{% set x.v = x.v + x.v %}" + END,
    "doubled list": "{% set x = namespace(v=[1]) %}" + GROW + "{% set x.v = x.v + x.v %}" + END,
    "shared lists": "{% set x = namespace(v=[1]) %}"
    + GROW
    + "{% set x.v = [x.v, x.v] %}{% endfor %}{{ x.v }}",
    "a shared namespace": "{% set x = namespace(v=[1]) %}"
    + GROW
    + "{% set x.v = [x.v, x.v] %}{% endfor %}{{ x }}",
    "shared maps": "{% set x = namespace(v={}) %}"
    + GROW
    + "{% set x.v = dict(a=x.v, b=x.v) %}{% endfor %}{{ x.v.items() }}",
    "compared lists": "{% set x = namespace(v=[1], w=[1]) %}"
    + GROW
    + "{% set x.v = [x.v, x.v] %}{% set x.w = [x.w, x.w] %}{% endfor %}{{ x.v == x.w }}",
    "a wide number": "{{ '%1000000000d'|format(1) }}",
    "a wide field": "{{ '{:>2000000000}'.format(1) }}",
    "a computed width": "{{ '%*d' % (10000000000, 1) }}",
    "a filter": "{{ 'a'|center(10000000000) }}",
    "a method": "{{ 'a'.zfill(10000000000) }}",
    "an indent": "{% set s = 'a\n' * 99999 %}{{ s|indent(99999) }}",
    "tabs": "{{ ('\t' * 99999).expandtabs(99999) }}",
    "replaced": S + "{{ s.replace('a', s) }}",
    "translated": "{{ ('a' * 99999).translate({97: 'b' * 99999}) }}",
    "joined": S + "{{ range(99999)|join(s) }}",
    "joined by a method": S + "{{ s.join(range(99999)|map('string')) }}",
    "a tree of calls": "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}"
    "{% endmacro %}{{ m(60) }}",
    "calls without an end": "{% macro m(n) %}{{ m(n) }}{% endmacro %}{{ m(0) }}",
    "a loop in itself": "{% for i in range(3) recursive %}{{ loop(range(3)) }}{% endfor %}",
    "copies": "{% set s = 'a' * 999999 %}" + MANY + "{% set t = s[1:] %}" + END,
    "searches": "{% set s = 'a' * 999999 %}" + MANY + "{{ 'b' in s }}" + END,
    "wide JSON": "{{ messages|tojson(indent=1000000000) }}",
    "batches": "{{ [1]|batch(10000000000, 'x')|list }}",
    "cycles": "{% set c = cycler(1, 2) %}"
    + MANY
    + "{% for j in range(99999) %}{% set _ = c.next() %}"
    + END
    + END,
    "a deep expression": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "two million characters": "x" * 2 * 10**6,
}
BROKEN = (
    "{% for m in messages %}{{ m[",
    "{% endfor %}",
    "{{ messages + 1 }}",
    "{{ 1 / 0 }}",
    "{% include 'x' %}",
    "{{ 1|nofilter }}",
    "{{ [].pop() }}",
)


@pytest.mark.parametrize("name", OF_MODELS)
@pytest.mark.parametrize("prompt", [True, False])
def test_a_template_writes_what_the_library_writes(name: str, prompt: bool) -> None:
    """With the idioms of known models, to the character."""
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = OF_MODELS[name]
    wanted = tokenizer.apply_chat_template(TURNS, tokenize=False, add_generation_prompt=prompt)
    found = (template.prompt_text if prompt else template.conversation_text)(tokenizer, TURNS)
    assert found == wanted
    assert len(found) > 50


@pytest.mark.parametrize("name", ENDLESS)
def test_a_template_that_does_not_end_is_stopped(name: str) -> None:
    """In a few seconds and little memory, with an error that states where to look."""
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = ENDLESS[name]
    began = time.process_time()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with raises(RecipeError, code="template-failed"):
        template.prompt_text(tokenizer, TURNS)
    assert time.process_time() - began < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 * 1024


@pytest.mark.parametrize("source", BROKEN)
def test_a_broken_template_is_explained(source: str) -> None:
    """A program that fails gives a sentence, whatever it raises."""
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = source
    with raises(InputError, code=("template-failed", "template-refuses-roles")):
        template.prompt_text(tokenizer, TURNS)


def test_a_long_conversation_is_no_endless_loop() -> None:
    """400 turns of 2,000 characters pass, also where a template looks at all in each turn."""
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = OF_MODELS["thinking"]
    turns = [
        {"role": ("user", "assistant")[number % 2], "content": f"{number} " * 500}
        for number in range(400)
    ]
    assert len(template.conversation_text(tokenizer, turns)) > 400 * 1000


def test_what_a_template_may_refuse() -> None:
    """A template that refuses a conversation in its own words can be used with others."""
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "{{ raise_exception('no') }}"
    template.try_out(tokenizer, where="x")
    with raises(DataError, code="template-refuses-roles", why="no"):
        template.prompt_text(tokenizer, TURNS)
    tokenizer.chat_template = ENDLESS["loops"]
    with raises(RecipeError, code="template-failed", at="x"):
        template.try_out(tokenizer, where="x")
