"""The characters by which byte-level tokenizers write bytes (GPT-2's encoder.py)."""


def byte_characters() -> list[str]:
    """Return the character by which byte-level BPE writes each byte, from 0 to 255."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) if byte in printable else chr(256 + others.index(byte)) for byte in range(256)]
