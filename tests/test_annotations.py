"""Files of annotation tools, each of the structure that its tool writes -> segments, and back."""

from __future__ import annotations

import json
import logging
import re
import shutil
import zipfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from making_videos import moving_texture, write_video
from stresnet.data.annotations.annotation import Annotation, LabelledSegment, seconds_of
from stresnet.data.annotations.boris import to_boris
from stresnet.data.annotations.elan import to_elan
from stresnet.data.annotations.label_studio import to_label_studio
from stresnet.data.annotations.overlap import unlabelled, without_overlap
from stresnet.data.annotations.read import is_annotations, read_annotations
from stresnet.data.annotations.segments import (
    Length,
    check_segments,
    read_segments,
    segments_of,
    write_list,
)
from stresnet.data.annotations.via import CSV_MARK
from stresnet.errors import DatasetError

FOUND = [(0.5, 2.25, "walk", 0.91), (2.25, 3.0, "run & jump", 0.5), (3.5, 4.0, "walk", None)]


def spans(found: list[Annotation]) -> list[tuple[str, float, float | None, str]]:
    return [(each.video, each.start, each.end, each.label) for each in found]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds at 10 frames per second, 0a.mp4."""
    folder = tmp_path_factory.mktemp("videos")
    return write_video(folder / "0a.mp4", moving_texture(40, 32, 48), fps=10)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("62.5", 62.5), ("62,5", 62.5), ("1:02.5", 62.5), ("0:01:02.500", 62.5), ("10:00:00", 36000)],
)
def test_times(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-1", "1:75", "nan", "inf", "1:2:3:4", "1.000,5"])
def test_what_is_not_a_time(text: str) -> None:
    with pytest.raises(ValueError):
        seconds_of(text)


# --------------------------------------------------------------------------------------------
# BORIS
# --------------------------------------------------------------------------------------------

TABULAR = """\
Observation id,Observation date,Description,Observation duration,Observation type,Source,\
Time offset (s),Media duration (s),FPS (frame/s),Subject,Behavior,Behavioral category,\
Behavior type,Time,Media file name,Image index,Image file path,Comment
obs 1,2026-03-01 10:00:00,,4.000,Media file,player #1:0a.mp4,{offset},4.000,10.00,{subject},{0},,\
START,0.500,videos/0a.mp4,5,,
obs 1,2026-03-01 10:00:00,,4.000,Media file,player #1:0a.mp4,{offset},4.000,10.00,{subject},nod,,\
POINT,0.700,videos/0a.mp4,7,,
obs 1,2026-03-01 10:00:00,,4.000,Media file,player #1:0a.mp4,{offset},4.000,10.00,{subject},{0},,\
STOP,2.250,videos/0a.mp4,22,,
"""


def tabular(label: str = "walk", *, offset: str = "0.0", subject: str = "dog") -> str:
    return TABULAR.replace("{0}", label).replace("{offset}", offset).replace("{subject}", subject)


def test_boris_pairs_start_and_stop_and_keeps_points(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_bytes(b"\xef\xbb\xbf" + tabular().encode())  # with a BOM
    found = read_annotations(tmp_path / "events.csv")
    assert spans(found) == [
        ("videos/0a.mp4", 0.7, None, "nod"),
        ("videos/0a.mp4", 0.5, 2.25, "walk"),
    ]
    assert found[0].fps == 10


def test_boris_with_decimal_commas_and_semicolons(tmp_path: Path) -> None:
    text = tabular().replace(",", ";")
    for number in ("0.500", "0.700", "2.250"):
        text = text.replace(f";{number};", f";{number.replace('.', ',')};")
    (tmp_path / "events.csv").write_text(text)
    assert read_annotations(tmp_path / "events.csv")[1].end == 2.25


def test_boris_subtracts_the_offset_of_the_observation(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text(tabular(offset="0.25"))
    assert read_annotations(tmp_path / "events.csv")[1].start == 0.25


def test_boris_two_subjects_do_not_end_each_other(tmp_path: Path) -> None:
    head, *dog = tabular().splitlines()
    cat = tabular(subject="cat").replace("0.500", "0.600").replace("2.250", "1.000").splitlines()
    lines = [head, dog[0], cat[1], cat[3], dog[2]]
    (tmp_path / "events.csv").write_text("\n".join(lines))
    found = read_annotations(tmp_path / "events.csv")
    assert sorted((each.start, each.end) for each in found) == [(0.5, 2.25), (0.6, 1.0)]


def test_boris_a_missing_stop_is_named(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("\n".join(tabular().splitlines()[:-1]))
    with pytest.raises(DatasetError, match="line 2: walk has no STOP"):
        read_annotations(tmp_path / "events.csv")


OLD_TABULAR = """\
Observation id\tobs 1

Media file(s)
Player #1\tvideos/0a.mp4

Observation date\t2017-03-01 10:00:00
Description
Time offset (s)\t0.0


Time\tMedia file path\tTotal length\tFPS\tSubject\tBehavior\tBehavioral category\tComment\tStatus
0.500\tvideos/0a.mp4\t4.000\t10.0\tdog\twalk\t\t\tSTART
2.250\tvideos/0a.mp4\t4.000\t10.0\tdog\twalk\t\t\tSTOP
"""


def test_boris_of_older_versions_has_lines_above_the_table(tmp_path: Path) -> None:
    (tmp_path / "events.tsv").write_text(OLD_TABULAR)
    assert spans(read_annotations(tmp_path / "events.tsv")) == [
        ("videos/0a.mp4", 0.5, 2.25, "walk")
    ]


AGGREGATED = (
    "Observation id\tObservation date\tDescription\tObservation type\tSource\tTime offset (s)\t"
    "Coding duration\tMedia duration (s)\tFPS (frame/s)\tSubject\t"
    "Observation duration by subject by observation\tBehavior\tBehavioral category\tModifier #1\t"
    "Behavior type\tStart (s)\tStop (s)\tDuration (s)\tMedia file name\tImage index start\t"
    "Image index stop\tImage file path start\tImage file path stop\tComment start\tComment stop\n"
)


def aggregated(start: str, stop: str, media: str = "0a.mp4", source: str = "", **more: str) -> str:
    cells = {
        "Observation id": "obs", "Source": source, "Subject": "dog", "Behavior": "walk",
        "Behavior type": "STATE", "Start (s)": start, "Stop (s)": stop, "Media file name": media,
        "FPS (frame/s)": "10.0",
    } | more  # fmt: skip
    return "\t".join(cells.get(name, "") for name in AGGREGATED.rstrip().split("\t")) + "\n"


def test_boris_aggregated_events(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text(
        AGGREGATED
        + aggregated("0.5", "2.25")
        + aggregated("3.0", "3.0", **{"Behavior type": "POINT"})
    )
    assert spans(read_annotations(tmp_path / "a.tsv")) == [
        ("0a.mp4", 0.5, 2.25, "walk"),
        ("0a.mp4", 3.0, None, "walk"),
    ]


def test_boris_frames_where_events_have_no_time(tmp_path: Path) -> None:
    frames = {"Image index start": "5", "Image index stop": "22"}
    (tmp_path / "a.tsv").write_text(AGGREGATED + aggregated("NA", "NA", **frames))
    (found,) = read_annotations(tmp_path / "a.tsv")
    assert (found.start, found.end, found.in_frames, found.fps) == (5, 22, True, 10)


def test_boris_several_media_played_one_after_the_other(tmp_path: Path) -> None:
    source, lengths = "player #1:0a.mp4;player #1:0b.mp4", {"Media duration (s)": "4.0;6.5"}
    (tmp_path / "a.tsv").write_text(
        AGGREGATED
        + aggregated("1.0", "2.0", "0a.mp4", source, **lengths)
        + aggregated("5.0", "6.5", "0b.mp4", source, **lengths)
    )
    assert spans(read_annotations(tmp_path / "a.tsv")) == [
        ("0a.mp4", 1.0, 2.0, "walk"),
        ("0b.mp4", 1.0, 2.5, "walk"),
    ]
    (tmp_path / "b.tsv").write_text(AGGREGATED + aggregated("5.0", "6.5", "0b.mp4", source))
    with pytest.raises(DatasetError, match="durations are not given"):
        read_annotations(tmp_path / "b.tsv")


def test_boris_two_views_of_one_recording_run_together(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text(
        AGGREGATED + aggregated("1.0", "2.0", "0a.mp4", "player #1:0a.mp4;player #2:0b.mp4")
    )
    assert spans(read_annotations(tmp_path / "a.tsv")) == [("0a.mp4", 1.0, 2.0, "walk")]


def test_boris_written_and_read_again(tmp_path: Path, video: Path) -> None:
    text = to_boris(FOUND, video, duration=4.0, fps=10.0)
    assert text.splitlines()[0].split("\t")[0] == "Observation id"
    (tmp_path / "out.tsv").write_text(text)
    found = read_annotations(tmp_path / "out.tsv")
    assert [(each.start, each.end, each.label) for each in found] == [f[:3] for f in FOUND]
    assert found[0].video == "0a.mp4"


# --------------------------------------------------------------------------------------------
# ELAN
# --------------------------------------------------------------------------------------------

EAF = """\
<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2026-03-01T10:00:00+01:00" FORMAT="3.0" VERSION="3.0"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
    xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv3.0.xsd">
    <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">
        <MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/Users/me/My%20videos/0a.mp4" MIME_TYPE="video/mp4"
            RELATIVE_MEDIA_URL="./0a.mp4" {origin}/>
        <MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/Users/me/0a.wav" MIME_TYPE="audio/x-wav"
            EXTRACTED_FROM="file:///C:/Users/me/0a.mp4"/>
        <PROPERTY NAME="lastUsedAnnotationId">5</PROPERTY>
    </HEADER>
    <TIME_ORDER>
        <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="500"/>
        <TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="1000"/>
        <TIME_SLOT TIME_SLOT_ID="ts3"/>
        <TIME_SLOT TIME_SLOT_ID="ts4" TIME_VALUE="2000"/>
    </TIME_ORDER>
    <TIER LINGUISTIC_TYPE_REF="default-lt" TIER_ID="behaviour" PARTICIPANT="dog">
        <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1"
            TIME_SLOT_REF2="ts2"><ANNOTATION_VALUE>walk</ANNOTATION_VALUE>
        </ALIGNABLE_ANNOTATION></ANNOTATION>
        <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="ts2"
            TIME_SLOT_REF2="ts3"><ANNOTATION_VALUE>sit</ANNOTATION_VALUE>
        </ALIGNABLE_ANNOTATION></ANNOTATION>
    </TIER>
    <TIER LINGUISTIC_TYPE_REF="default-lt" TIER_ID="barks">
        <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a3" TIME_SLOT_REF1="ts2"
            TIME_SLOT_REF2="ts4"><ANNOTATION_VALUE></ANNOTATION_VALUE>
        </ALIGNABLE_ANNOTATION></ANNOTATION>
    </TIER>
    <TIER LINGUISTIC_TYPE_REF="comment" PARENT_REF="behaviour" TIER_ID="speed">
        <ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a4" ANNOTATION_REF="a1">
            <ANNOTATION_VALUE>slow</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
    </TIER>
    <LINGUISTIC_TYPE GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="default-lt"
        TIME_ALIGNABLE="true"/>
    <LINGUISTIC_TYPE CONSTRAINTS="Symbolic_Association" GRAPHIC_REFERENCES="false"
        LINGUISTIC_TYPE_ID="comment" TIME_ALIGNABLE="false"/>
    <CONSTRAINT DESCRIPTION="1-1 association with a parent annotation"
        STEREOTYPE="Symbolic_Association"/>
</ANNOTATION_DOCUMENT>
"""


def eaf(folder: Path, *, origin: str = "") -> Path:
    path = folder / "0a.eaf"
    path.write_text(EAF.replace("{origin}", origin), encoding="utf-8")
    return path


def test_elan_tiers_that_stand_for_themselves(tmp_path: Path) -> None:
    found = read_annotations(eaf(tmp_path))
    assert [(each.start, each.end, each.label) for each in found] == [
        (0.5, 1.0, "walk"),
        (1.0, 1.5, "sit"),  # a slot without a value, between 1 and 2 s
        (1.0, 2.0, "barks"),  # without a value: the tier's name
    ]


def test_elan_tiers_that_are_named(tmp_path: Path) -> None:
    (found,) = read_annotations(eaf(tmp_path), ["speed"])
    assert (found.start, found.end, found.label) == (0.5, 1.0, "slow")
    with pytest.raises(DatasetError, match="no tier mood; there are behaviour, barks, speed"):
        read_annotations(eaf(tmp_path), ["mood"])


def test_elan_tiers_that_refer_to_each_other_are_both_read(tmp_path: Path) -> None:
    path = eaf(tmp_path)
    inner = """<TIER LINGUISTIC_TYPE_REF="comment" PARENT_REF="speed" TIER_ID="why">
        <ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a5" ANNOTATION_REF="a4">
            <ANNOTATION_VALUE>tired</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION></TIER>
    <TIER LINGUISTIC_TYPE_REF="comment" PARENT_REF="behaviour" TIER_ID="speed">"""
    outer = '<TIER LINGUISTIC_TYPE_REF="comment" PARENT_REF="behaviour" TIER_ID="speed">'
    path.write_text(path.read_text(encoding="utf-8").replace(outer, inner), encoding="utf-8")
    found = read_annotations(path, ["why", "speed"])
    assert [(each.start, each.end, each.label) for each in found] == [
        (0.5, 1.0, "tired"),
        (0.5, 1.0, "slow"),
    ]


def test_elan_media_offset(tmp_path: Path) -> None:
    found = read_annotations(eaf(tmp_path, origin='TIME_ORIGIN="1500"'))
    assert (found[0].start, found[0].end) == (2.0, 2.5)


def test_elan_finds_the_video_beside_it_when_the_path_is_of_another_machine(video: Path) -> None:
    found = read_segments([eaf(video.parent)], tiers=["behaviour"])
    assert found == [
        LabelledSegment(video, 0.5, 1.0, "walk"),
        LabelledSegment(video, 1.0, 1.5, "sit"),
    ]


def test_elan_the_relative_link_where_it_alone_leads_to_a_file(video: Path) -> None:
    elsewhere = video.parent / "project one"
    elsewhere.mkdir()
    path = eaf(elsewhere)
    text = path.read_text(encoding="utf-8").replace("0a.mp4", "moved.mp4", 1)
    path.write_text(text.replace("./0a.mp4", f"../{video.name}"), encoding="utf-8")
    assert {each.video for each in read_segments([path], tiers=["behaviour"])} == {video}


def test_two_ways_to_spell_a_video_are_one_video(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two people label one recording, and contradict each other."""
    monkeypatch.chdir(video.parent)
    first = eaf(video.parent).rename(video.parent / "anna.eaf")
    second = Path(eaf(video.parent).name)
    text = first.read_text(encoding="utf-8").replace(
        "file:///C:/Users/me/My%20videos/0a.mp4", str(video)
    )
    first.write_text(text.replace(">walk<", ">run<"), encoding="utf-8")
    with pytest.raises(DatasetError, match=r"different classes overlap"):
        read_segments([first, second], tiers=["behaviour"])


def test_recordings_in_which_nothing_happened(
    video: Path, caplog: pytest.LogCaptureFixture
) -> None:
    full, empty = eaf(video.parent), video.parent / "empty.eaf"
    text = re.sub(r"<TIER.*</TIER>", '<TIER TIER_ID="behaviour"/>', EAF, flags=re.DOTALL)
    empty.write_text(text.replace("{origin}", ""), encoding="utf-8")
    assert len(read_segments([full, empty], tiers=["behaviour"])) == 2
    assert "without any label, left out (1): " in caplog.text
    with pytest.raises(DatasetError, match=r"no label with a time in .*empty\.eaf"):
        read_segments([empty])


def test_elan_agrees_with_pympi(tmp_path: Path) -> None:
    pympi = pytest.importorskip("pympi")
    path = eaf(tmp_path)
    theirs = pympi.Eaf(str(path)).get_annotation_data_for_tier("behaviour")
    ours = read_annotations(path, ["behaviour"])
    assert [(each.start * 1000, each.end, each.label) for each in ours][:1] == [
        (theirs[0][0], theirs[0][1] / 1000, theirs[0][2])
    ]


def test_elan_written_is_opened_by_pympi_and_read_again(tmp_path: Path, video: Path) -> None:
    path = tmp_path / "out.eaf"
    path.write_text(to_elan(FOUND, video, ["walk", "run & jump", "sit"]), encoding="utf-8")
    found = read_annotations(path)
    assert [(each.start, each.end, each.label) for each in found] == [f[:3] for f in FOUND]
    assert read_segments([path])[0].video == video
    assert [each.label for each in read_annotations(path, ["scores"])] == ["0.91", "0.50"]
    pympi = pytest.importorskip("pympi")
    theirs = pympi.Eaf(str(path))
    assert sorted(theirs.get_annotation_data_for_tier("actions")) == [
        (500, 2250, "walk"), (2250, 3000, "run & jump"), (3500, 4000, "walk"),
    ]  # fmt: skip
    assert len(theirs.get_ref_annotation_data_for_tier("scores")) == 2
    assert theirs.get_linked_files()[0]["RELATIVE_MEDIA_URL"] == "./0a.mp4"
    entries = theirs.get_cv_entries("classes")
    assert sorted(values[0][0] for values, _ in entries.values()) == ["run & jump", "sit", "walk"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('TIME_SLOT_REF2="ts3"', 'TIME_SLOT_REF2="ts9"'),
        ('ANNOTATION_REF="a1"', 'ANNOTATION_REF="a4"'),  # a circle
        ("video/mp4", "audio/mp4"),
        ("</TIER>", ""),
        ("<ANNOTATION_DOCUMENT", '<!DOCTYPE a [<!ENTITY b "c">]><ANNOTATION_DOCUMENT'),
    ],
)
def test_elan_a_broken_file_is_an_error_in_words(tmp_path: Path, old: str, new: str) -> None:
    path = eaf(tmp_path)
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DatasetError, match=r"0a\.eaf: cannot be read as annotations"):
        read_annotations(path, ["behaviour", "speed"])


# --------------------------------------------------------------------------------------------
# VIA
# --------------------------------------------------------------------------------------------

VIA_CSV = '''\
# Exported using VGG Image Annotator (http://www.robots.ox.ac.uk/~vgg/software/via)
# Notes:
# - temporal coordinate of [4.633] denotes a still video frame at 4.633 sec.
# SHAPE_ID = {"POINT":1,"RECTANGLE":2}
# FLAG_ID = {"RESERVED_FOR_FUTURE":1}
# ATTRIBUTE = {"1":{"aname":"place","anchor_id":"FILE1_Z2_XY0","type":1,"desc":"","options":{},\
"default_option_id":""},"2":{"aname":"action","anchor_id":"FILE1_Z2_XY0","type":4,"desc":"",\
"options":{"0":"walk","1":"run, fast"},"default_option_id":""}}
# CSV_HEADER = metadata_id,file_list,flags,temporal_coordinates,spatial_coordinates,metadata
"1_j5sJvB9h","["0a.mp4""]",0,"[0.5,2.25]","[]","{""1"":"""",""2"":""0""}"
"1_zYQJk2sM","["0a.mp4""]",0,"[2.25,3]","[]","{""1"":""garden"",""2"":""1""}"
"1_vL68gsEX","["0a.mp4""]",0,"[3.5]","[2,162.2,176.2,639.4,192.4]","{""2"":""0""}"
"1_vL68gsEY","["0a.mp4""]",0,"[]","[]","{""1"":""all of it""}"
'''


def test_via_csv(tmp_path: Path) -> None:
    path = tmp_path / "via.csv"
    path.write_text(VIA_CSV)
    assert is_annotations(path)
    assert spans(read_annotations(path, ["action"])) == [
        ("0a.mp4", 0.5, 2.25, "walk"),
        ("0a.mp4", 2.25, 3.0, "run, fast"),
        ("0a.mp4", 3.5, None, "walk"),
    ]
    assert [each.label for each in read_annotations(path)] == ["walk", "garden", "walk"]


def test_via_csv_with_proper_quotes_and_names_of_attributes_only(tmp_path: Path) -> None:
    text = VIA_CSV.replace('"["0a.mp4""]"', '"[""0a.mp4""]"')
    lines = [line for line in text.splitlines() if "ATTRIBUTE =" not in line]
    lines.insert(3, '# ATTRIBUTES = {"1":"place","2":"action"}')
    (tmp_path / "via.csv").write_text("\n".join(lines))
    found = read_annotations(tmp_path / "via.csv", ["action"])
    assert (found[0].video, found[0].label) == ("0a.mp4", "0")  # the options are not in the file


def test_via_project(tmp_path: Path) -> None:
    project = {
        "project": {"pid": "__VIA_PROJECT_ID__", "vid_list": ["1"]},
        "config": {"file": {"loc_prefix": {"1": "", "2": "", "3": "", "4": ""}}},
        "attribute": {"1": {"aname": "TEMPORAL-SEGMENTS", "anchor_id": "FILE1_Z2_XY0", "type": 4,
                            "desc": "", "options": {"a": "walk"}, "default_option_id": ""}},
        "file": {"1": {"fid": 1, "fname": "0a.mp4", "type": 4, "loc": 1, "src": "blob:null/1"}},
        "view": {"1": {"fid_list": [1]}},
        "metadata": {
            "1_aaaaaaaa": {"vid": "1", "flg": 0, "z": [0.5, 2.25], "xy": [], "av": {"1": "a"}},
            "1_bbbbbbbb": {"vid": "1", "flg": 0, "z": [], "xy": [], "av": {"1": "a"}},
        },
    }  # fmt: skip
    (tmp_path / "via.json").write_text(json.dumps(project))
    assert spans(read_annotations(tmp_path / "via.json")) == [("0a.mp4", 0.5, 2.25, "walk")]
    project["view"] = {}
    (tmp_path / "via.json").write_text(json.dumps(project))
    with pytest.raises(DatasetError, match="it has no"):
        read_annotations(tmp_path / "via.json")


def test_via_several_boxes_ticked_and_names_that_begin_with_a_bracket(tmp_path: Path) -> None:
    text = VIA_CSV.replace('["0a.mp4""]', '["[cam1] 0a.mp4""]').replace(
        '""2"":""1""', '""2"":""0,1""'
    )
    (tmp_path / "via.csv").write_text(text)
    assert spans(read_annotations(tmp_path / "via.csv", ["action"]))[1:3] == [
        ("[cam1] 0a.mp4", 2.25, 3.0, "walk"),
        ("[cam1] 0a.mp4", 2.25, 3.0, "run, fast"),
    ]


# --------------------------------------------------------------------------------------------
# CVAT
# --------------------------------------------------------------------------------------------

CVAT = """\
<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta>
    <task>
      <id>7</id><name>afternoon</name><size>40</size><mode>interpolation</mode><overlap>5</overlap>
      <start_frame>0</start_frame><stop_frame>39</stop_frame><frame_filter>{filter}</frame_filter>
      <labels><label><name>walk</name><attributes></attributes></label></labels>
      <original_size><width>48</width><height>32</height></original_size>
      <source>0a.mp4</source>
    </task>
  </meta>
  <track id="0" label="walk" source="manual">
    <box frame="5" keyframe="1" outside="0" occluded="0" xtl="1" ytl="1" xbr="2" ybr="2"></box>
    <box frame="6" keyframe="0" outside="0" occluded="0" xtl="1" ytl="1" xbr="2" ybr="2"></box>
    <box frame="10" keyframe="1" outside="1" occluded="0" xtl="1" ytl="1" xbr="2" ybr="2"></box>
    <box frame="30" keyframe="1" outside="0" occluded="0" xtl="1" ytl="1" xbr="2" ybr="2"></box>
    <box frame="39" keyframe="1" outside="0" occluded="0" xtl="1" ytl="1" xbr="2" ybr="2"></box>
  </track>
  <image id="12" name="frame_000012"><tag label="sit" source="manual"></tag></image>
  <image id="13" name="frame_000013"><tag label="sit" source="manual"></tag></image>
  <image id="20" name="frame_000020"><tag label="sit" source="manual"></tag></image>
</annotations>
"""


def test_cvat_tracks_and_tags_are_intervals_of_frames(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(CVAT.replace("{filter}", ""))
    found = read_annotations(tmp_path / "a.xml")
    assert spans(found) == [
        ("0a.mp4", 5, 10, "walk"),
        ("0a.mp4", 30, 40, "walk"),
        ("0a.mp4", 12, 14, "sit"),
        ("0a.mp4", 20, 21, "sit"),
    ]
    assert all(each.in_frames for each in found)


def test_cvat_zip_with_every_fourth_frame(tmp_path: Path) -> None:
    text = CVAT.replace("{filter}", "step=4").replace('id="13"', 'id="16"')
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("annotations.xml", text)
    found = read_annotations(tmp_path / "a.zip")
    assert [(each.start, each.end) for each in found if each.label == "sit"] == [(12, 24)]


def test_cvat_frames_become_seconds_at_the_video_s_own_rate(
    video: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (video.parent / "a.xml").write_text(CVAT.replace("{filter}", ""))
    with caplog.at_level(logging.WARNING, "stresnet"):
        found = read_segments([video.parent / "a.xml"])
    assert (found[0].start, found[0].end) == (0.5, 1.0)
    assert "do not say their rate" in caplog.text
    found = read_segments([video.parent / "a.xml"], fps=20)
    assert (found[0].start, found[0].end) == (0.25, 0.5)


# --------------------------------------------------------------------------------------------
# Label Studio
# --------------------------------------------------------------------------------------------


def task(*results: dict[str, object], **data: object) -> dict[str, object]:
    return {
        "id": 3,
        "data": {"video": "/data/upload/1/0a1b2c3d-0a.mp4"} | data,
        "annotations": [
            {"id": 1, "was_cancelled": False, "result": []},
            {"id": 2, "was_cancelled": False, "result": list(results)},
            {"id": 3, "was_cancelled": True, "result": []},
        ],
        "predictions": [],
    }


def timeline(start: int, end: int, label: str) -> dict[str, object]:
    value = {"ranges": [{"start": start, "end": end}], "timelinelabels": [label]}
    return {"id": "x", "type": "timelinelabels", "from_name": "l", "to_name": "v", "value": value}


def test_label_studio_counts_frames_from_one_and_includes_the_last(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps([task(timeline(6, 10, "walk"), fps=10)]))
    (found,) = read_annotations(path)
    assert (found.start, found.end, found.in_frames, found.fps) == (5, 10, True, 10)


def test_label_studio_finds_an_uploaded_video(video: Path) -> None:
    (video.parent / "ls.json").write_text(json.dumps([task(timeline(6, 10, "walk"), fps=10)]))
    assert read_segments([video.parent / "ls.json"]) == [LabelledSegment(video, 0.5, 1.0, "walk")]


def test_label_studio_seconds_of_labels_on_the_sound(tmp_path: Path) -> None:
    value = {"start": 0.5, "end": 2.25, "channel": 0, "labels": ["walk"]}
    result = {"type": "labels", "from_name": "l", "to_name": "audio", "value": value}
    local = "/data/local-files/?d=videos/0a.mp4"
    (tmp_path / "a.json").write_text(json.dumps([task(result, video=local)]))
    assert spans(read_annotations(tmp_path / "a.json")) == [("videos/0a.mp4", 0.5, 2.25, "walk")]


def test_label_studio_json_min(tmp_path: Path) -> None:
    cell = [{"ranges": [{"start": 6, "end": 10}], "timelinelabels": ["walk"]}]
    (tmp_path / "a.json").write_text(json.dumps([{"id": 3, "video": "0a.mp4", "actions": cell}]))
    assert spans(read_annotations(tmp_path / "a.json")) == [("0a.mp4", 5, 10, "walk")]


def test_label_studio_written_and_read_again(tmp_path: Path, video: Path) -> None:
    written = json.loads(to_label_studio(FOUND, video, fps=20))
    value = written[0]["predictions"][0]["result"][0]["value"]
    assert value["ranges"] == [{"start": 11, "end": 45}]
    (tmp_path / "a.json").write_text(json.dumps(written))
    with pytest.raises(DatasetError, match="not annotations before someone submits them"):
        read_segments([tmp_path / "a.json"])
    # What a person accepts comes back as an annotation.
    written[0]["annotations"] = [{"result": written[0].pop("predictions")[0]["result"]}]
    (tmp_path / "a.json").write_text(json.dumps(written))
    found = read_segments([tmp_path / "a.json"])
    assert [(each.start, each.end, each.label) for each in found] == [f[:3] for f in FOUND]


# --------------------------------------------------------------------------------------------
# ActivityNet, THUMOS
# --------------------------------------------------------------------------------------------


def test_activitynet_names_videos_without_an_ending(tmp_path: Path, video: Path) -> None:
    entry = {"duration": 4.0, "annotations": [{"segment": [0.5, 2.25], "label": "walk"}]}
    subsets = {"0a": "training", "0b": "validation"}
    database = {name: {"subset": subset, **entry} for name, subset in subsets.items()}
    content = {"version": "VERSION 1.3", "database": database}
    (tmp_path / "a.json").write_text(json.dumps(content))
    found = read_annotations(tmp_path / "a.json")
    assert [(each.video, each.split) for each in found] == [("0a", "train"), ("0b", "test")]
    (placed,) = segments_of(found[:1], tmp_path, videos=video.parent)
    assert placed == LabelledSegment(video, 0.5, 2.25, "walk", "train")
    (tmp_path / "videos").mkdir()
    named = shutil.copy(video, tmp_path / "videos" / f"v_{video.name}")  # as ActivityNet does
    assert segments_of(found[:1], tmp_path, videos=named.parent)[0].video == named
    for folder in (".Trash-1000", "seen"):  # a deleted one, and one of ours
        (tmp_path / "videos" / folder).mkdir()
        shutil.copy(named, tmp_path / "videos" / folder)
    (tmp_path / "videos" / "seen" / ".stresnet").touch()
    (alone,) = segments_of([replace(found[0], video="v_0a")], tmp_path, videos=named.parents[1])
    assert alone.video == named


def test_thumos(tmp_path: Path) -> None:
    for name in ("GolfSwing_val", "GolfSwing_test", "golf"):
        (tmp_path / f"{name}.txt").write_text("video_0001 0.2 1.1\nvideo_0001  5.0 6.0\n\n")
    (first, _) = read_annotations(tmp_path / "GolfSwing_val.txt")
    assert (first.video, first.end, first.label, first.split) == (
        "video_0001", 1.1, "GolfSwing", "train"
    )  # fmt: skip
    assert read_annotations(tmp_path / "GolfSwing_test.txt")[0].split == "test"
    # A list of training videos alone names no part: test recordings are drawn, as without a list.
    for split, columns in (("train", "path,label,start,end"), ("test", "...,end,split")):
        segment = LabelledSegment(tmp_path / "a.mp4", 0.2, 1.1, "GolfSwing", split)
        write_list([segment], tmp_path / "list.csv")
        (header, _) = (tmp_path / "list.csv").read_text().splitlines()
        assert header.endswith(columns.removeprefix("..."))
    with pytest.raises(DatasetError, match="the name is not CLASS_val"):
        read_annotations(tmp_path / "golf.txt")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", "{}"),
        ("a.json", "[1]"),
        ("a.json", "{"),
        ("a.json", '{"database": {"0a": {"annotations": [{"segment": [1]}]}}}'),
        ("a.json", '[{"data": {}, "annotations": []}]'),
        ("a.xml", "<svg/>"),
        ("a.tsv", "one\ttwo\n1\t2\n"),
        ("a.json", '{"metadata": {"0": {"vid": "1"}}, "view": [], "file": []}'),
        ("a.csv", f"{CSV_MARK}\n0,,0,soon,"),
        ("a.csv", f'{CSV_MARK}\n0,[],0,"{{}}",[1]'),
        ("a.csv", f"{CSV_MARK}\n0"),
        ("a.xml", "<annotations><track><box frame='one'/></track></annotations>"),
        ("a.json", '{"database": {"0a": {"annotations": [{"segment": [1, NaN], "label": "x"}]}}}'),
        ("a.json", '{"database": {"0a": {"annotations": [{"segment": [1, 2], "label": ""}]}}}'),
        ("a.xml", "<annotations><track label='x'><box frame='1'/></track></annotations>"),
        ("a.eaf", "<ANNOTATION_DOCUMENT"),
        (
            "a.eaf",
            "<ANNOTATION_DOCUMENT><MEDIA_DESCRIPTOR/><TIME_SLOT TIME_SLOT_ID='t' TIME_VALUE='x'/>"
            "</ANNOTATION_DOCUMENT>",
        ),
        ("a.eaf", ""),
        ("a.zip", "no zip"),
        ("a_val.txt", "video soon 3\n"),
    ],
)
def test_what_is_no_tool_s_file_is_an_error_in_words(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DatasetError, match="cannot be read as annotations"):
        read_annotations(tmp_path / name)


def test_a_list_of_videos_is_not_an_annotation_tool_s(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("path,label,start,end\na.mp4,walk,0,1\n")
    assert not is_annotations(tmp_path / "list.csv")


# --------------------------------------------------------------------------------------------
# Checks
# --------------------------------------------------------------------------------------------


def test_missing_videos_are_listed(tmp_path: Path) -> None:
    found = [Annotation(name, "walk", 0.0, 1.0) for name in ("b.mp4", "a.mp4")]
    with pytest.raises(DatasetError, match=r"not there \(2\): a.mp4, b.mp4"):
        segments_of(found, tmp_path)


def test_point_events_are_left_out_or_given_a_duration(
    video: Path, caplog: pytest.LogCaptureFixture
) -> None:
    point = [Annotation("0a.mp4", "nod", 0.5, None)]
    with caplog.at_level(logging.WARNING, "stresnet"):
        assert segments_of(point, video.parent) == []
    assert "1 point events" in caplog.text
    assert segments_of(point, video.parent, points=2.0) == [LabelledSegment(video, 0.0, 1.5, "nod")]


def test_another_frame_rate_in_the_annotation_is_told(
    video: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = [Annotation("0a.mp4", "walk", 30, 60, in_frames=True, fps=25.0)]
    with caplog.at_level(logging.WARNING, "stresnet"):
        (segment,) = segments_of(found, video.parent)
    assert "25 frames per second in the annotations, 10 in the file" in caplog.text
    assert (segment.start, segment.end) == (1.2, 2.4)


def segment(start: float, end: float, label: str = "a") -> LabelledSegment:
    return LabelledSegment(Path("v.mp4"), start, end, label)


def test_segments_that_cannot_be_are_listed() -> None:
    length = {Path("v.mp4"): Length(10.0, 25.0)}
    with pytest.raises(DatasetError) as caught:
        check_segments([segment(3, 3), segment(5, 4), segment(9, 12.5)], length)
    assert caught.value.problem.count("ends before it begins") == 2
    assert "outside the video, which lasts 10.0 s" in caught.value.problem
    assert "frame numbers" not in caught.value.problem
    assert check_segments([segment(9, 10.4)], length) == [segment(9, 10.0)]


def test_boris_decimal_commas_in_every_number(tmp_path: Path) -> None:
    """As spreadsheets of many languages save a table."""
    text = (
        "Observation id;Media file name;Time offset (s);FPS (frame/s);Behavior;Behavior type;Time\n"
        "o;0a.mp4;0,5;29,97;walk;START;1,5\no;0a.mp4;0,5;29,97;walk;STOP;2,75\n"
    )
    (tmp_path / "boris.csv").write_text(text)
    (found,) = read_annotations(tmp_path / "boris.csv")
    assert (found.start, found.end, found.fps) == (1.0, 2.25, 29.97)


def test_an_uploaded_video_whose_name_is_that_of_an_address(video: Path, tmp_path: Path) -> None:
    shutil.copy(video, tmp_path / "day_\u00fcbung.mp4")
    name = "/data/upload/3/0a1b2c3d-day_%C3%BCbung.mp4"
    (segment,) = segments_of([Annotation(name, "walk", 0.5, 1.0)], tmp_path)
    assert segment.video == tmp_path / "day_\u00fcbung.mp4"


def test_segments_before_the_video_are_refused_and_a_rounding_is_cut() -> None:
    kept = check_segments([segment(-0.1, 2)], {})
    assert (kept[0].start, kept[0].end) == (0.0, 2.0)
    for times in ((-4.0, 1.0), (-0.3, -0.1)):
        with pytest.raises(DatasetError, match="begins before the video"):
            check_segments([segment(*times)], {Path("v.mp4"): Length(10.0, 25.0)})


def test_frame_numbers_taken_for_seconds_are_suspected() -> None:
    with pytest.raises(DatasetError, match=r"frame numbers, perhaps\? At 25 frames"):
        check_segments([segment(25, 240)], {Path("v.mp4"): Length(10.0, 25.0)})


def test_segments_of_different_labels_that_overlap() -> None:
    crossing = [segment(0, 10, "a"), segment(4, 6, "b")]
    with pytest.raises(DatasetError, match=r"overlap \(1\):\n  - v.mp4 0.000-10.000 a and v.mp4 4"):
        without_overlap(crossing)
    assert without_overlap(crossing, "later") == [
        segment(0, 4, "a"), segment(4, 6, "b"), segment(6, 10, "a"),
    ]  # fmt: skip
    assert without_overlap(crossing, "longer") == [segment(0, 10, "a")]
    assert without_overlap(crossing, "drop") == [segment(0, 4, "a"), segment(6, 10, "a")]


def test_a_segment_that_is_listed_twice_once_with_its_part_of_the_split() -> None:
    once = segment(0, 4, "a")
    assert without_overlap([once, replace(once, split="train")]) == [once]


def test_segments_of_one_label_that_overlap_are_one_and_neighbours_stay_two() -> None:
    assert without_overlap([segment(0, 4), segment(3, 6), segment(6, 8)]) == [
        segment(0, 6),
        segment(6, 8),
    ]


def test_a_click_s_overlap_is_tolerated() -> None:
    assert without_overlap([segment(0, 5.02, "a"), segment(5, 8, "b")]) == [
        segment(0, 5, "a"),
        segment(5, 8, "b"),
    ]


@pytest.mark.parametrize("rule", ["later", "longer", "drop"])
def test_no_rule_leaves_an_overlap_or_adds_time(rule: str) -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        given = [
            segment(float(s), float(s + rng.integers(1, 20)), "abc"[rng.integers(3)])
            for s in rng.integers(0, 60, 8)
        ]
        result = without_overlap(given, rule)
        for first, second in pairwise(result):
            assert first.end <= second.start
        for each in result:  # inside the union of its label
            inside = [g for g in given if g.label == each.label]
            middle = (each.start + each.end) / 2
            assert any(g.start <= middle <= g.end for g in inside)


def test_gaps_are_what_no_segment_covers() -> None:
    labelled = [segment(1, 4), segment(4.2, 8)]
    assert unlabelled(labelled, 10.0) == [(0.0, 1), (8, 10.0)]
    assert unlabelled([], 10.0) == [(0.0, 10.0)]
