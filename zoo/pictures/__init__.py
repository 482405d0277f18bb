"""Reading and writing picture files: what they hold, at full depth, in the colours they declare."""
