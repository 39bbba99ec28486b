"""Pose and score of predicted faces against a loop over cv2.solvePnP: time, and which finds the lower error.

    python tests/bench/bench_pnp.py [--device cuda] [--faces 1024] [--study 2000] [--json]

Time: solve_pnp and L_error for a batch of 1,220-vertex faces (shape off by 3 mm, landmarks by 1 px) against
a loop that calls cv2.solvePnP (iterative) and computes L_error with numpy, face by face. Rounds take turns,
and each figure is the median over rounds; the ratio is what travels between machines.

Study: in each regime, how often OpenCV stops outside 1e-4 degrees or 1e-6 m of the least reprojection error,
by how much, how often it ends in another minimum (over a degree away) or puts a vertex behind the camera, and
how often its error is the lower one among poses in front of the camera.

Two cores of a shared Xeon (AVX-512), torch 2.13.0, OpenCV 5.0.0; microseconds a face, 2,048 faces, 9 rounds:

    pose and L_error  loop  1144.6   batch   298.9      3.8 x
    pose alone        loop   974.3   batch   254.8      3.8 x

The study's table is in docs/pose.md: in none of its regimes is OpenCV's error the lower one.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from pose_faces import REGIMES, TO_OPENCV, Faces, K, cost, degrees_apart, draw, opencv_pose

from proxy_tasks.engine import hardware, resolve_device
from proxy_tasks.jmlr.metric import score_images
from proxy_tasks.jmlr.pnp import solve_pnp

STUDIED = (
    "true shape, 1 px",
    "true shape, 5 px",
    "shape off by 1 mm, 1 px",
    "shape off by 3 mm, 1 px",
    "shape off by 10 mm, 5 px",
    "shape off by 30 mm, 30 px",
    "mean face, true landmarks",
    "mean face, any turn",
    "shape off by 3 mm, any turn",
)  # of pose_faces.REGIMES


def plain_loop(face: Faces, truth: Faces) -> float:
    """Mean L_error, face by face."""
    total = 0.0
    for v, p, v_gt, R_gt, T_gt in zip(face.verts, face.points, truth.verts, truth.R, truth.T, strict=True):
        _, turn, shift = cv2.solvePnP(v, p, K, None)
        R, T = cv2.Rodrigues(turn)[0].T * TO_OPENCV, shift.ravel() * TO_OPENCV
        v1, v2, v3, v4 = v_gt @ R_gt + T_gt, v @ R + T, v_gt @ R + T, v @ R_gt + T_gt
        for factor, other in ((1, v2), (1, v3), (10, v4)):
            total += factor * np.linalg.norm(v1 - other, axis=1).mean()
    return 1000 * total / len(face.verts)


def opencv_loop(face: Faces) -> None:
    for v, p in zip(face.verts, face.points, strict=True):
        cv2.solvePnP(v, p, K, None)


def median_seconds(actions: list[Callable[[], object]], rounds: int) -> list[float]:
    """Median time of each, after a round of warm-up; the actions take turns."""
    seconds: list[list[float]] = [[] for _ in actions]
    for turn in range(rounds + 1):
        for action, times in zip(actions, seconds, strict=True):
            start = time.perf_counter()
            action()
            if turn > 0:
                times.append(time.perf_counter() - start)
    return [statistics.median(times) for times in seconds]


def compare_time(faces: int, rounds: int, device: torch.device) -> dict[str, float]:
    """Microseconds a face of each way, printed and returned."""
    truth = draw(faces, seed=0, vertices=1220)
    face = draw(faces, seed=0, vertices=1220, shape_error=0.003, noise=1.0)
    truth = truth._replace(R=face.R, T=face.T)
    arrays = (face.verts, face.points, truth.verts, truth.R, truth.T)
    verts, points, *gt = (torch.from_numpy(a).float().to(device) for a in arrays)
    camera = torch.from_numpy(K).to(device)

    def solve() -> None:
        solve_pnp(verts, points, camera)[1].cpu()  # the copy waits for the device

    loop, cv, score, pose = median_seconds(
        [
            lambda: plain_loop(face, truth),
            lambda: opencv_loop(face),
            lambda: score_images(verts, points, camera, *gt),
            solve,
        ],
        rounds,
    )
    unit = 1e6 / faces
    print(f"{faces} faces, {rounds} rounds, {torch.get_num_threads()} CPU threads, microseconds a face")
    print(f"  pose and L_error  loop {loop * unit:7.1f}   batch {score * unit:7.1f}   {loop / score:6.1f} x")
    print(f"  pose alone        loop {cv * unit:7.1f}   batch {pose * unit:7.1f}   {cv / pose:6.1f} x")
    ours, theirs = score_images(verts, points, camera, *gt).l_error_mm.mean(), plain_loop(face, truth)
    print(f"  mean L_error      loop {theirs:.4f}   batch {ours:.4f} mm")
    times = {"loop and score": loop, "batch and score": score, "loop": cv, "batch": pose}
    return {"faces": faces, **{f"{name}, us a face": seconds * unit for name, seconds in times.items()}}


def study(name: str, faces: int, device: torch.device) -> None:
    face = draw(faces, seed=1, vertices=1220, **REGIMES[name])
    inputs = (torch.from_numpy(a).to(device) for a in (face.verts, face.points, K))
    R, T = (a.cpu().numpy() for a in solve_pnp(*inputs))
    cv_R, cv_T = opencv_pose(face.verts, face.points)
    ours, _ = cost(face.verts, face.points, R, T)
    theirs, front = cost(face.verts, face.points, cv_R, cv_T)
    angle, shift = degrees_apart(R, cv_R), abs(T - cv_T).max(1)
    missed = (angle > 1e-4) | (shift > 1e-6)
    far = np.quantile(angle[angle < 1], 0.99)
    lower = (theirs < ours * (1 - 1e-12) - 1e-12) & front
    print(
        f"  {name:28s} {missed.mean():7.1%} {np.median(angle):9.1e} {far:9.1e} {(angle > 1).mean():8.2%}"
        f" {(~front).mean():8.2%} {lower.sum():6d}"
    )


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", help="cpu, cuda or auto")
    parser.add_argument("--faces", type=int, default=1024, help="faces in the timed batch; 4096 for a GPU")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--study", type=int, default=2000, help="faces a regime; 0 for none")
    parser.add_argument("--json", action="store_true", help="one line of JSON at the end")
    args = parser.parse_args(argv)
    device = resolve_device(args.device)
    print(f"{hardware(device)}; torch {torch.__version__}, OpenCV {cv2.__version__}")
    times = compare_time(args.faces, args.rounds, device)
    if args.study:
        print(f"OpenCV against the least error, {args.study} faces of 1,220 vertices a regime")
        print(f"  {'':28s} {'missed':>7} {'median':>9} {'99 %':>9} {'> 1 deg':>8} {'behind':>8} {'lower':>6}")
        for name in STUDIED:
            study(name, args.study, device)
    if args.json:
        print(json.dumps(times))
    return 0


if __name__ == "__main__":
    sys.exit(main())
