"""The interview of `finetune cards new` as a page in a browser on the same machine."""
