"""Parts of the model card: sentences in every language of messages, samples, energy."""
