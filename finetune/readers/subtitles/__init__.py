"""Reader of subtitles: SRT, WebVTT, SubStation (ASS, SSA), SBV, MicroDVD and TTML."""
