"""Which names are looked at as recordings: those of what libsndfile and FFmpeg read, videos among them."""

AUDIO_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        "3g2", "3gp", "8svx", "aac", "ac3", "aif", "aifc", "aiff", "amr", "ape", "asf", "au", "avi", "avr", "bwf",
        "caf", "dff", "dsf", "dts", "eac3", "f4a", "f4v", "flac", "flv", "iff", "m2ts", "m4a", "m4b", "m4r", "m4v",
        "mka", "mkv", "mov", "mp2", "mp3", "mp4", "mpc", "mpeg", "mpg", "mpga", "mts", "mxf", "nist", "oga", "ogg",
        "ogv", "ogx", "opus", "paf", "pvf", "qt", "ra", "rf64", "rm", "sd2", "shn", "snd", "sph", "spx", "svx", "tak",
        "tta", "vob", "voc", "w64", "wav", "wave", "weba", "webm", "wma", "wmv", "wv", "xi",
    )
)  # fmt: skip


def is_hidden(place: str) -> bool:
    """Whether a file, or a folder it is in, begins with a dot; `place` is its path within the folder looked through."""
    return any(part.startswith(".") for part in place.split("/"))
