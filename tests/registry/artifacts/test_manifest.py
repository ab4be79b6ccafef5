"""Manifests: canonical, addressed by their own bytes, and without paths that lead outside."""

import hashlib
import json

import pytest

from registry.artifacts.manifest import ArtifactFile, Manifest
from registry.errors import DamagedArtifact

SHA = "a" * 64


def file(path, size=1):
    return ArtifactFile(path=path, size=size, sha256=SHA)


def parse(content):
    return Manifest.parse(content, hashlib.sha256(content).hexdigest())


def test_a_manifest_does_not_depend_on_the_order_of_its_files():
    first = Manifest.of([file("weights/a"), file("run.json")])
    second = Manifest.of([file("run.json"), file("weights/a")])
    assert first.digest == second.digest == hashlib.sha256(first.to_bytes()).hexdigest()
    assert parse(first.to_bytes()) == first
    assert first.size == 2


def test_the_format_of_a_manifest_is_fixed():
    """Other releases read these bytes, and their digest is in databases."""
    assert Manifest.of([file("weights/a", 7)]).to_bytes() == (
        b'{"files":[{"path":"weights/a","sha256":"' + SHA.encode() + b'","size":7}],"format":1}'
    )


@pytest.mark.parametrize(
    "path",
    [
        "../run.json", "weights/../../x", "/etc/passwd", "", ".", "a//b", "a/./b", "a/", "C:/x",
        "a\\..\\b", "a\nb", "a\x00b", "x" * 501,
    ],
)  # fmt: skip
def test_paths_that_lead_outside_are_rejected(path):
    message = "not a path within an artifact"
    with pytest.raises(DamagedArtifact, match=message) as failure:
        Manifest.of([file(path)])
    assert "\n" not in str(failure.value)
    content = {"files": [{"path": path, "sha256": SHA, "size": 1}], "format": 1}
    with pytest.raises(DamagedArtifact, match=message):
        parse(json.dumps(content).encode())


def test_names_in_any_script_are_accepted():
    manifest = Manifest.of([file("weights/модель 重み.bin")])
    assert parse(manifest.to_bytes()) == manifest


@pytest.mark.parametrize(
    ("paths", "message"),
    [(["a", "a"], "names a file twice"), (["a", "a/b"], "as a file and as a folder")],
)
def test_contradictory_paths_are_rejected(paths, message):
    with pytest.raises(DamagedArtifact, match=message):
        Manifest.of([file(path) for path in paths])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is not a manifest"),
        (b"[]", "is not a manifest"),
        (b'{"format":1}', "is not a manifest"),
        (b'{"format":1,"files":[1]}', "is not a manifest"),
        (b'{"format":1,"files":[{"path":"a","sha256":"x","size":1}]}', "is not a manifest"),
        (b'{"format":1,"files":[{"path":"a","sha256":"%s","size":-1}]}' % SHA.encode(), "not a"),
        (b'{"format":2,"files":[]}', "has format 2, expected 1; upgrade flanmoe"),
    ],
)
def test_malformed_manifests_are_rejected(content, message):
    with pytest.raises(DamagedArtifact, match=message) as failure:
        parse(content)
    assert "\n" not in str(failure.value)


def test_a_manifest_of_other_bytes_is_rejected():
    manifest = Manifest.of([file("a")])
    with pytest.raises(DamagedArtifact, match="does not match its checksum"):
        Manifest.parse(manifest.to_bytes() + b" ", manifest.digest)
