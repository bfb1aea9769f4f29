"""Tasks: which items are asked, how a system answers them; a file each."""
