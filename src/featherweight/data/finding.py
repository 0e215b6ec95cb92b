"""Find the files of a data set on this machine, or download them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from featherweight.data.download import Progress, download
from featherweight.data.formats.kinds import reader_of_folder
from featherweight.data.names import ENDINGS, exists, find_source, is_path, path_of, settled_name
from featherweight.data.places import GIVEN, IDX_FILES, Place, given_folders, homes, idx_files_in, spellings
from featherweight.data.published import compare, of_another
from featherweight.data.sources import SOURCES, Source
from featherweight.errors import DataError
from featherweight.files import user_cache
from featherweight.wording import option


def locate(
    name: str,
    data_dir: str | Path | None = None,
    *,
    cache_dir: Path | None = None,
    sources: Mapping[str, Source] = SOURCES,
) -> Place | None:
    """Return the place of the data set on this machine, or None. Nothing is downloaded or verified.

    File names are looked up. Of files that lie directly in a given folder, the test labels are read too.
    """
    if is_path(settled_name(name, sources), sources):
        path = path_of(name, data_dir)
        if not exists(path):
            return None
        return Place(f"the {'folder' if path.is_dir() else 'file'} {path}", path=path)
    source = find_source(name, sources)
    if source.origin:
        return Place(source.origin)
    for title, folder in given_folders(data_dir):
        if (place := _place_below(title, folder, source, sources)) is not None:
            return place
    return _place_in("the cache", default_cache(cache_dir) / name, source)


def fetch(
    name: str,
    data_dir: str | Path | None = None,
    *,
    cache_dir: Path | None = None,
    mirrors: Sequence[str] | None = None,
    progress: Progress | None = None,
    timeout: float = 30.0,
    sources: Mapping[str, Source] = SOURCES,
) -> Place:
    """Return the place of the data set, after comparing each gzipped file with the published one.

    Order of search: data_dir alone if it is given, else the environment variable FEATHERWEIGHT_DATA, the cache, the
    mirrors. Files are downloaded to the cache only. A damaged file in the cache is downloaded again.
    progress: called as progress(file, bytes done, bytes in total) while bytes arrive.
    timeout: seconds without a byte.
    Raises DataError for a damaged file outside the cache, if data_dir lacks the data, and if no mirror works.
    """
    source = find_source(name, sources)
    if source.origin:
        return Place(source.origin)
    given = given_folders(data_dir)
    for title, folder in given:
        place = _place_below(title, folder, source, sources)
        if place is not None:
            return _compared(place, source)
        if title == GIVEN:
            raise DataError(f"{option('data-dir')}: {str(folder)!r} does not hold {name}. Name a folder that holds "
                            f"{name}/, give the data themselves with {option('data', 'FILE|DIR')}, or leave it out.")
    folder = default_cache(cache_dir) / name
    cached = _place_in("the cache", folder, source)
    if source.page:
        if cached is None:
            raise DataError(f"data set {name!r} is not on this machine, and featherweight does not download it. Get it "
                            f"from {source.page}, unpack it into a folder {name}/, and give {option('data-dir')} with "
                            "the folder that holds it.")
        return cached
    if cached is None or _is_damaged(cached, source):
        download(
            name,
            source.sha256 or {},
            source.mirrors if mirrors is None else mirrors,
            folder,
            progress=progress,
            timeout=timeout,
            looked_in=[f"{title} ({place / name})" for title, place in given],
        )
        cached = Place(f"the cache ({folder})", tuple(folder / file for file in IDX_FILES))
    return cached


def default_cache(cache_dir: Path | None = None) -> Path:
    """Return the folder for files that can be created again: `cache_dir`, or the result of `user_cache`.

    Raises DataError if the user has no home folder.
    """
    try:
        return cache_dir if cache_dir is not None else user_cache()
    except RuntimeError as fault:       # HOME is not set and the user is not in the password database
        raise DataError("this user has no home folder for a cache. Set HOME or XDG_CACHE_HOME to a folder.") from fault


def _place_below(title: str, folder: Path, source: Source, sources: Mapping[str, Source]) -> Place | None:
    """Return the first place below a folder that the user named, or None.

    The folder itself may hold the files, unless they are known as those of another data set.
    The folder of the argument, but not that of the environment variable, may hold the data in another format.
    """
    others = [other.published for other in sources.values() if other.sha256]
    for home in homes(folder, (source.name, *source.folders)):
        place = _place_in(title, home, source)
        general = home in (folder, folder / "raw")
        if place is None or (general and place.files and of_another(place.files, source.name, others)):
            continue
        return place
    path = _in_another_format(folder, source) if title == GIVEN else None
    return None if path is None else Place(f"{title} ({path})", path=path)


def _place_in(title: str, folder: Path, source: Source) -> Place | None:
    """Return the place if the folder holds the data set's files, else None."""
    if source.page:
        first = next((folder / name for name in spellings(source.first) if (folder / name).is_file()), None)
        return Place(f"{title} ({folder})", path=first) if first else None
    files = idx_files_in(folder)
    return Place(f"{title} ({folder})", files) if files else None


def _in_another_format(folder: Path, source: Source) -> Path | None:
    """Return where a folder that the user named holds the data set in one of the formats of formats/kinds.py, or None.

    Example for mnist: DIR/mnist.npz, DIR/mnist/ with any content, or DIR with train.csv.
    """
    named = [folder / f"{source.name}{ending}" for ending in ("", *ENDINGS)]
    if found := next((path for path in named if path.is_file() or (path.is_dir() and any(path.iterdir()))), None):
        return found
    if any(idx_files_in(home) for home in (folder, folder / "raw")):     # of another data set, see _place_below
        return None
    return folder if reader_of_folder(folder) is not None else None


def _compared(place: Place, source: Source) -> Place:
    """Return the place, with a note if its bytes are not the published ones. Raise DataError for another content."""
    note = compare(place.files, source.published) if place.files else ""
    return replace(place, phrase=f"{place.phrase[:-1]}{note})") if note else place


def _is_damaged(place: Place, source: Source) -> bool:
    try:
        compare(place.files, source.published)
    except DataError:
        return True
    return False
