import os
from pathlib import Path

import pytest

from videozoo.data.clips.clip_files import expand_path, find_clips
from videozoo.data.clips.clip_list import read_listing
from videozoo.errors import VideozooError
from videozoo.families.family import each_once


@pytest.fixture
def folder(tmp_path):
    """Two classes; files at several depths and some that are no clips."""
    for name in (
        "data/jump/b.mp4",
        "data/jump/deep/a.MKV",
        "data/jump/notes.txt",
        "data/jump/.hidden.mp4",
        "data/.cache/x.mp4",
        "data/a run/clip one.avi",
        "data/a run/two.pkl",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "data"


def short(listing, root):
    return [(str(e.path.relative_to(root)), e.labels and e.labels[0]) for e in listing.entries]


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


class TestFolders:
    def test_a_sub_folder_is_a_class(self, folder):
        listing = read_listing(folder)
        assert listing.class_names == ["a run", "jump"]
        assert short(listing, folder) == [
            ("a run/clip one.avi", 0),
            ("a run/two.pkl", 0),
            ("jump/b.mp4", 1),
            ("jump/deep/a.MKV", 1),
        ]
        assert listing.entries[2].video == str(folder / "jump" / "b.mp4")

    def test_known_names_decide_the_numbers(self, folder):
        listing = read_listing(str(folder), class_names=["swim", "jump", "a run"])
        assert [e.labels for e in listing.entries] == [(2,), (2,), (1,), (1,)]
        assert listing.class_names == ["swim", "jump", "a run"]

    def test_an_unknown_sub_folder(self, folder):
        with pytest.raises(VideozooError, match="'jump' is none of the 2 classes; did you mean"):
            read_listing(folder, class_names=["jumps", "a run"])

    def test_a_sub_folder_without_clips(self, folder):
        (folder / "notes").mkdir()
        listing = read_listing(folder)
        assert listing.class_names == ["a run", "jump"]
        assert any("no video is taken from it: .cache/, notes/" in note for note in listing.notes)
        # where the classes are known, some may lack clips
        names = ["a run", "jump", "notes"]
        assert len(read_listing(folder, class_names=names).entries) == 4

    def test_loose_clips(self, folder):
        (folder / "loose.mp4").touch()
        with pytest.raises(VideozooError, match=r"1 video \(loose.mp4, ...\) in no sub-folder"):
            read_listing(folder)
        assert len(read_listing(folder, labelled=False).entries) == 5

    def test_without_labels(self, folder):
        listing = read_listing(folder, labelled=False)
        assert [e.labels for e in listing.entries] == [None] * 4
        assert listing.class_names is None

    def test_an_empty_folder(self, tmp_path):
        with pytest.raises(VideozooError, match="holds no video"):
            read_listing(tmp_path)

    def test_links_are_followed_once(self, folder):
        os.symlink(folder, folder / "jump" / "again")
        os.symlink(folder / "jump" / "b.mp4", folder / "jump" / "c.mp4")
        assert len(find_clips(folder)) == 5


class TestCsv:
    def test_names_are_numbered_in_order(self, folder):
        path = write(
            folder / "list.csv",
            '\ufeffPath,other,Label\njump/b.mp4,1,jump\n\n"a run/clip one.avi",,a run\n',
        )
        listing = read_listing(path)
        assert listing.class_names == ["a run", "jump"]
        assert short(listing, folder) == [("jump/b.mp4", 1), ("a run/clip one.avi", 0)]
        assert listing.entries[0].video == "jump/b.mp4"

    def test_numbers(self, folder):
        listing = read_listing(write(folder / "list.csv", "path,label\njump/b.mp4,12\n"))
        assert listing.class_names is None
        assert listing.entries[0].labels == (12,)

    def test_known_names(self, folder):
        path = write(folder / "list.csv", "path,label\njump/b.mp4,jump\njump/b.mp4,0\n")
        listing = read_listing(path, class_names=["x", "jump"])
        assert [e.labels for e in listing.entries] == [(1,), (0,)]

    def test_without_labels(self, folder):
        path = write(folder / "list.csv", "path\njump/b.mp4\n")
        assert read_listing(path, labelled=False).entries[0].labels is None
        with pytest.raises(VideozooError, match="has no column 'label'"):
            read_listing(path)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("name,class\na,b\n", "its first line must name the columns"),
            ("path,label\njump/b.mp4\n", "line 2: has 1 column, the header has 2"),
            ("path,label\n\njump/b.mp4,\n", "line 3: has no label"),
            ("path,label\n,jump\n", "line 2: has no path"),
            ("path,label\na,b,c\na,b,c\nx,y\n", r"line 2: .*\(1 more lines are bad\)"),
            ("path,label\n", "lists no clips"),
            ("", "its first line must name the columns"),
        ],
    )
    def test_bad_files(self, folder, text, message):
        with pytest.raises(VideozooError, match=message):
            read_listing(write(folder / "list.csv", text))

    def test_an_unknown_name(self, folder):
        path = write(folder / "list.csv", "path,label\njump/b.mp4,jumq\n")
        with pytest.raises(VideozooError, match=r"line 2: 'jumq' is none of the 2 .* mean 'jump'"):
            read_listing(path, class_names=["x", "jump"])


class TestKinetics:
    HEADER = "label,youtube_id,time_start,time_end,split,is_cc\n"

    @pytest.fixture
    def videos(self, tmp_path):
        for name in ("zumba/-abc_000007_000017.mp4", "air_drum/x_y_000100_000110.mkv"):
            path = tmp_path / "videos" / name
            path.parent.mkdir(parents=True)
            path.touch()
        return tmp_path / "videos"

    def test_files_of_the_official_table(self, tmp_path, videos):
        path = write(
            tmp_path / "val.csv",
            self.HEADER
            + "zumba,-abc,7,17,val,0\nair drum,x_y,100,110,val,0\nzumba,gone,1,11,val,0\n",
        )
        listing = read_listing(path, video_folder=videos)
        assert listing.class_names == ["air drum", "zumba"]
        assert short(listing, videos) == [
            ("zumba/-abc_000007_000017.mp4", 1),
            ("air_drum/x_y_000100_000110.mkv", 0),
            ("zumba/gone_000001_000011.mp4", 1),
        ]
        assert not listing.entries[2].path.exists()
        # the folder of the table is the default
        beside = read_listing(path.rename(videos / "val.csv"))
        assert beside.entries == listing.entries

    def test_a_flat_folder_and_a_table_without_labels(self, tmp_path):
        (tmp_path / "abc_000000_000010.mp4").touch()
        text = "youtube_id,time_start,time_end,split\nabc,0,10,test\n"
        listing = read_listing(write(tmp_path / "test.csv", text), labelled=False)
        assert listing.entries[0].path.name == "abc_000000_000010.mp4"
        with pytest.raises(VideozooError, match="has no column 'label'"):
            read_listing(tmp_path / "test.csv")

    def test_faults(self, tmp_path, videos):
        path = write(tmp_path / "val.csv", self.HEADER + "zumba,-abc,7.5,17,val,0\n")
        with pytest.raises(VideozooError, match="line 2: time_start and time_end must be whole"):
            read_listing(path, video_folder=videos)
        with pytest.raises(VideozooError, match="no such folder of videos"):
            read_listing(path, video_folder=tmp_path / "none")


class TestLists:
    def test_paths_with_spaces_and_pickles(self, folder):
        text = "a run/two.pkl\n\n  a run/clip one.avi 3  \njump/b.mp4\t0\njump/gone.mp4 1\n"
        listing = read_listing(write(folder / "val.list", text))
        *found, gone = listing.entries
        assert [(e.path, e.labels) for e in found] == [
            (folder / "a run/two.pkl", None),
            (folder / "a run/clip one.avi", (3,)),
            (folder / "jump/b.mp4", (0,)),
        ]
        assert (gone.path, gone.labels) == (Path("jump/gone.mp4"), (1,))
        assert listing.class_names is None

    def test_names_as_labels(self, folder):
        path = write(folder / "val.list", "jump/b.mp4 a run\njump/b.mp4 jump\njump/b.mp4 1\n")
        listing = read_listing(path, class_names=["jump", "a run"])
        assert [e.labels for e in listing.entries] == [(1,), (0,), (1,)]

    def test_unusual_endings_end_at_the_last_space(self, folder):
        (folder / "my clip").touch()
        listing = read_listing(write(folder / "val.list", "my clip 5\n"))
        assert short(listing, folder) == [("my clip", 5)]

    def test_without_labels(self, folder):
        text = "jump/b.mp4\na run/clip one.avi 77\njump/b.mp4 some name\n"
        listing = read_listing(write(folder / "infer.list", text), labelled=False)
        assert [e.labels for e in listing.entries] == [None] * 3
        assert listing.entries[1].path == folder / "a run" / "clip one.avi"

    def test_the_current_folder_comes_first(self, folder, tmp_path, monkeypatch):
        here = tmp_path / "here" / "jump"
        here.mkdir(parents=True)
        (here / "b.mp4").touch()
        monkeypatch.chdir(tmp_path / "here")
        text = "jump/b.mp4 0\na run/clip one.avi 1\n"
        listing = read_listing(write(folder / "val.list", text))
        assert listing.entries[0].path == Path("jump/b.mp4")
        assert listing.entries[1].path == folder / "a run" / "clip one.avi"

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "lists no clips"),
            ("\n \n", "lists no clips"),
            ("jump/b.mp4 0\njump/b.mp4\n", "line 2: has no label behind the path 'jump/b.mp4'"),
            ("jump/b.mp4 jump\n", "line 1: the label 'jump' is not a number, and no names are"),
            ("gone.mp4 0\nlost.mp4 1\n", r"none of its 2 clips exists \(the first: gone.mp4\)"),
            ("a\0b 1\n", "is not a text"),
            ("x" * 5000 + " 1\n", "none of its 1 clips exists"),
        ],
    )
    def test_bad_files(self, folder, text, message):
        with pytest.raises(VideozooError, match=message):
            read_listing(write(folder / "val.list", text))

    def test_a_list_that_is_none(self, folder):
        with pytest.raises(VideozooError, match="no such list or folder"):
            read_listing(folder / "none.list")
        with pytest.raises(VideozooError, match="is a clip, not a list"):
            read_listing(folder / "jump" / "b.mp4")
        (folder / "binary").write_bytes(bytes(range(256)))
        with pytest.raises(VideozooError, match="is not a text in UTF-8"):
            read_listing(folder / "binary")


class TestExpandPath:
    def names(self, paths, folder):
        return [str(p.relative_to(folder)) for p in each_once(map(str, paths), expand_path)]

    def test_files_folders_and_patterns(self, folder):
        assert self.names([folder / "jump"], folder) == ["jump/b.mp4", "jump/deep/a.MKV"]
        assert self.names([folder / "jump/notes.txt"], folder) == ["jump/notes.txt"]
        assert self.names([folder / "*/*"], folder) == [
            "a run/clip one.avi",
            "a run/two.pkl",
            "jump/b.mp4",
            "jump/deep/a.MKV",
        ]
        assert self.names([folder / "**/*.mp4"], folder) == ["jump/b.mp4"]

    def test_order_and_repetitions(self, folder):
        wanted = [folder / "jump/b.mp4", folder, folder / "jump/b.mp4"]
        assert self.names(wanted, folder)[:2] == ["jump/b.mp4", "a run/clip one.avi"]
        assert len(each_once(map(str, wanted), expand_path)) == 4

    def test_brackets_in_a_name_are_no_pattern(self, folder):
        (folder / "a[1].mp4").touch()
        assert self.names([folder / "a[1].mp4"], folder) == ["a[1].mp4"]

    @pytest.mark.parametrize("path", ["none.mp4", "*.mp3", "empty"])
    def test_nothing_found(self, folder, path):
        (folder / "empty").mkdir()
        with pytest.raises(VideozooError, match=r"no such file|holds no"):
            each_once([str(folder / "jump"), str(folder / path)], expand_path)


class TestManyLabels:
    def test_a_list_names_several(self, tmp_path):
        (tmp_path / "a b.mp4").touch()
        path = write(tmp_path / "l.list", "a b.mp4 1,4,7\nc.mp4 0\nd.mp4 2, 3\n")
        entries = read_listing(path, multi_label=True).entries
        assert [entry.labels for entry in entries] == [(1, 4, 7), (0,), (2, 3)]
        assert entries[0].video == "a b.mp4"

    def test_a_csv_names_several(self, tmp_path):
        (tmp_path / "a.mp4").touch()
        path = write(tmp_path / "l.csv", 'path,label\na.mp4,"run,jump"\nb.mp4,sit\n')
        listing = read_listing(path, multi_label=True)
        assert listing.class_names == ["jump", "run", "sit"]
        assert [entry.labels for entry in listing.entries] == [(1, 0), (2,)]

    def test_a_folder_names_one(self, folder):
        entries = read_listing(folder, multi_label=True).entries
        assert {entry.labels for entry in entries} == {(0,), (1,)}

    def test_without_the_key_a_comma_is_part_of_a_label(self, tmp_path):
        (tmp_path / "a.mp4").touch()
        path = write(tmp_path / "l.list", "a.mp4 1,4\n")
        with pytest.raises(VideozooError, match="the label '1,4' is not a number"):
            read_listing(path)

    def test_every_unknown_one_is_named(self, tmp_path):
        (tmp_path / "a.mp4").touch()
        path = write(tmp_path / "l.list", "a.mp4 run,jmp\n")
        with pytest.raises(VideozooError, match=r"'jmp' is none of the 2 classes.*jump"):
            read_listing(path, class_names=["jump", "run"], multi_label=True)

    def test_labels_are_not_wanted(self, tmp_path):
        (tmp_path / "a.mp4").touch()
        path = write(tmp_path / "l.list", "a.mp4 1,4\n")
        (entry,) = read_listing(path, multi_label=True, labelled=False).entries
        assert entry.labels is None
