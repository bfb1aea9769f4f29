"""Credits: shares of the supervised tokens that training drew, by card, licence, contributor."""
