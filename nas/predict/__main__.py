"""Predict meshes and poses for a split, as the challenge wants them.

    python -m nas.predict runs/NAME --split test --out predictions.npz
    python -m nas.predict runs/NAME --images my_photos --out mine.npz --overlay 8

With the ensemble where nas.ensemble has chosen one, otherwise with the best single
network; --member picks one by its folder's name. --trainval predicts with the
networks of the same architectures and seeds that were trained on all subjects, as
for a submission. The npz has subject_id, facial_action, img_id (fixed-width
strings), verts (n, V, 3) metres, R (n, 3, 3), T (n, 3), float32; of another task than
face meshes, what that task stores. --overlay N draws N of the predicted meshes over
their images into OUT_overlay/.

Images stream through: memory does not grow with their number. Cost: one or two
forward passes an image and member, one PnP an image, 15 kB on disk an image.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from nas.cli import add_where
from space.commandline import a_path, door, parser_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nas.predict.request import Request
    from space.commandline import Parser


def parser() -> Parser:
    """The flags of this command."""
    p = parser_of("nas.predict", __doc__)
    what = p.add_argument_group("whose prediction, of what")
    what.add_argument("run", type=a_path, metavar="RUN", help="folder of a search, with networks in retrain/")
    of = what.add_mutually_exclusive_group(required=True)
    of.add_argument("--split", choices=("val", "test"), help="of the data; val: the validation subjects")
    of.add_argument(
        "--images", type=a_path, metavar="DIR", help="NAME.jpg and NAME.txt, 68 rows x y in pixels"
    )
    what.add_argument("--list", type=a_path, metavar="CSV", help="only these images of the split")
    how = p.add_argument_group("how and where to")
    how.add_argument(
        "--out",
        type=a_path,
        required=True,
        metavar="FILE.npz",
        help="an earlier file of predictions is replaced",
    )
    what.add_argument("--member", metavar="NAME", help="a folder under retrain/, 'best' or 'ensemble'")
    what.add_argument("--trainval", action="store_true", help="the twins that were trained on all subjects")
    how.add_argument("--flip", action=argparse.BooleanOptionalAction, help="average with the mirrored image")
    how.add_argument("--overlay", type=int, default=0, metavar="N", help="pictures of meshes over images")
    what.add_argument("--skip-missing", action="store_true", help="leave out images without usable landmarks")
    add_where(p)
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    return door(parser, _run, argv)


def _run(args: argparse.Namespace) -> int:
    from nas.predict.request import Request
    from nas.predict.write import predict

    request = Request(
        args.run,
        args.split or "test",
        args.out,
        args.member,
        args.trainval,
        args.flip,
        args.overlay,
        args.skip_missing,
        args.list,
    )
    with _data(args, request) as data:
        done = predict(request, data=data, device=args.device, progress=not args.quiet)
    print(f"{done.images:,} images by {done.network}: {args.out}")
    if done.error is not None:
        print(f"{done.score.label} {done.error:.3f} {done.score.unit}".rstrip())
    if args.overlay:
        print(f"{done.overlays} pictures in {done.folder}/")
    return 0


@contextlib.contextmanager
def _data(args: argparse.Namespace, request: Request) -> Iterator[Path | None]:
    """The data set: the one that was named, or a layout of links to a person's own images while they last."""
    if args.images is None:
        yield args.data
        return
    from nas.predict.request import choose
    from nas.retrain.trained import kind_of
    from proxy_tasks.predicting import offered

    members = choose(request).members
    lay_out = offered(kind_of(members), "lay_out", "predictions of one's own pictures")
    with tempfile.TemporaryDirectory(prefix="jmlr-nas-") as folder:
        lay_out(args.images, str(args.data or members[0].record["data"]), Path(folder))
        yield Path(folder)


if __name__ == "__main__":
    sys.exit(main())
