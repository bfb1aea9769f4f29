"""Readers of linguistic fieldwork: ELAN, Praat, Toolbox and USFM."""
