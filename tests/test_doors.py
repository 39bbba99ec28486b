"""Requests that cannot be served, of every command: one sentence, the right status, nothing written or lost.

A line of the table is `arguments | status | words of the sentence`. Words in {braces} stand for what
doors_place.py has made; SEARCH, DRY and the like for the flags that make a request small.
"""

from __future__ import annotations

import hashlib
import shlex
from importlib import import_module
from pathlib import Path

import doors_place
import pytest

SEARCH = "--budget 0.5GFLOPs --tolerance 0.1 --max-width 128 --width-step 16 --launcher inprocess --quiet"
STANDIN = f"{SEARCH} --objective nas.trials.standin:Standin --trials 2"
TRAIN = "--launcher inprocess --device cpu --quiet --resolution 32 --epochs 1 --batch 8 --precision fp32"
QUIET = "--device cpu --quiet"

TABLE = {
    "space.__main__": """
        --budget five | 2 | 'five' is no budget
        --budget '' | 2 | is no budget
        --budget 5.1 | 2 | budget
        --budget -5GFLOPs | 2 | budget
        --budget nanGFLOPs | 2 | budget
        --budget 1e400 | 2 | budget
        --tolerance 0.02 | 2 | --budget is missing
        --budget 5.1GFLOPs --tolerance two | 2 | --tolerance is a share
        --budget 5.1GFLOPs --tolerance -1 | 2 | tolerance
        --budget 5.1GFLOPs --tolerance nan | 2 | tolerance
        --budget 0.001GFLOPs | 2 | no architecture of the space fits
        --budget 5.1GFLOPs --samples -1 | 2 | --samples and --seed are at least 0
        --budget 5.1GFLOPs --samples 1000000000 | 2 | --samples is at most
        --budget 5.1GFLOPs --samples many | 2 | --samples
        --budget 5.1GFLOPs --seed -1 | 2 | --samples and --seed are at least 0
        --budget 5.1GFLOPs --max-depth 1,2 | 2 | --max-depth is a whole number, or four
        --budget 5.1GFLOPs --max-depth 0 | 2 | depth
        --budget 5.1GFLOPs --min-width 0 | 2 | width
        --budget 5.1GFLOPs --width-step 0 | 2 | width
        --budget 5.1GFLOPs --block round | 2 | block
        --budget 5.1GFLOPs extra | 2 | unrecognized arguments
    """,
    "nas.search.__main__": """
        --trials 4 | 2 | --budget is missing
        SEARCH --out '' | 2 | the path is empty
        STANDIN --out {mine} | 2 | holds files that no search wrote (figures, index.html, log.txt)
        STANDIN --out {file} | 2 | cannot be a folder
        STANDIN --out {file}/below | 2 | cannot be a folder
        STANDIN --out {long} | 2 | File name too long
        STANDIN --out {link} | 2 | is a link to nothing
        STANDIN --out {old} | 2 | already holds a search: go on with it by --resume --out '
        STANDIN --out new --strategy best | 2 | --strategy is one of
        STANDIN --out new --scheduler slurm | 2 | --scheduler is one of
        STANDIN --out new --launcher local | 2 | --launcher is one of
        STANDIN --out new --trials 0 | 2 | --trials is at least 1
        STANDIN --out new --trials two | 2 | --trials
        STANDIN --out new --rounds 3 | 2 | --rounds is 1 or 2
        STANDIN --out new --repeats 1 | 2 | --repeats is at least 3
        STANDIN --out new --finalists 0 | 2 | --finalists is at least 1
        STANDIN --out new --race-epochs 0.5 | 2 | --race-epochs multiplies
        STANDIN --out new --max-hours 0 | 2 | --max-hours is a positive number
        STANDIN --out new --max-hours nan | 2 | --max-hours is a positive number
        STANDIN --out new --seed -1 | 2 | --seed is at least 0
        STANDIN --out new --cpus-per-trial 1e-9 | 2 | --cpus-per-trial is at least 0.01
        STANDIN --out new --cpus-per-trial -1 | 2 | --cpus-per-trial
        STANDIN --out new --max-params many | 2 | --max-params
        STANDIN --out new --max-params 1K | 2 | no architecture
        STANDIN --out new --max-activations -1 | 2 | --max-activations
        STANDIN --out new --max-latency soon | 2 | latency
        STANDIN --out new --objectives speed | 2 | --objectives
        SEARCH --out new --task nobody | 2 | task
        SEARCH --out new --task os:getcwd | 2 | task
        STANDIN --out new --warm-start {absent} | 2 | absent
        STANDIN --out new --warm-start {junk} | 2 | junk.npz
        STANDIN --out new --gpus-per-trial 0.3 | 2 | does not divide a GPU
        STANDIN --out new --gpus-per-trial half | 2 | --gpus-per-trial is auto, a whole number or a slice
        STANDIN --out new --objective-args junk | 2 | is no JSON object
        STANDIN --out new --objective-args '{{"colour": 1}}' | 2 | does not take the arguments
        STANDIN --out new --data {absent} | 2 | --data is not read by an --objective
        STANDIN --out new --task jmlr | 2 | --task is not read by an --objective
        SEARCH --out new --objective no.such:Thing | 2 | there is no objective
        SEARCH --out new --objective junk | 2 | there is no objective
        SEARCH --out new --objective '' | 2 | there is no objective
        SEARCH --out new --data {absent} | 2 | no data folder
        SEARCH --out new --data {file} | 2 | no data folder
        SEARCH --out new --data {empty} | 2 | is not a whole WCPA data set
        SEARCH --out new --data {long} | 2 | File name too long
        SEARCH --out new --data {nolist} | 2 | lacks list/WCPA_track2_train.csv
        SEARCH --out new --data {emptylist} | 2 | lists no images
        SEARCH --out new --data {badlist} | 2 | it needs the columns
        SEARCH --out new --data {junklist} | 2 | is not a readable CSV file
        SEARCH --out new --data {uplist} | 2 | cannot be a folder or file name
        SEARCH --out new --data {onlist} | 2 | needs two subjects or more
        SEARCH --out new --data {foldlist} | 2 | lacks list/WCPA_track2_train.csv
        SEARCH --out new --data {noresources} | 2 | lacks resources/
        SEARCH --out new --data {pickled} | 2 | it holds Python objects
        SEARCH --out new --data {junkobj} | 2 | is not a readable Wavefront mesh
        SEARCH --out new --data {junkmatrix} | 2 | resources is not usable
        SEARCH --out new --data {emptymatrix} | 2 | resources is not usable
        SEARCH --out new --data {noimages} | 2 | that are not there
        SEARCH --out new --data {millimetres} | 2 | are they in millimetres?
        SEARCH --out new --data {elsewhere} | 2 | lie off the picture
        SEARCH --out new --proxy tiny | 2 | is neither one of mini, short, full
        SEARCH --out new --proxy {absent} | 2 | No such file or directory
        SEARCH --out new --proxy {junk} | 2 | is no JSON file of settings
        SEARCH --out new --proxy {nested} | 2 | nested too deeply
        SEARCH --out new --proxy {evil} | 2 | name of a proxy is part of file names
        SEARCH --out new --proxy {flip} | 2 | flip of a proxy is true or false, not 'no'
        SEARCH --out new --proxy {unknown} | 2 | has no setting 'epoch': is 'epochs' meant?
        SEARCH --out new --proxy {base} | 2 | base is one of mini, short, full
        SEARCH --out new --proxy {wild} | 2 | synthetic is an object
        SEARCH --out new --gpus-per-trial auto | 2 | no GPU is visible here
        SEARCH --out new --cpus-per-trial 1000 | 2 | a trial needs 1000 CPUs
        SEARCH --out new --cpus-per-trial 1000 --dry-run | 2 | a trial needs 1000 CPUs
        STANDIN --out new --seed-arch resnet99 | 2 | --seed-arch: 'resnet99' is neither
        STANDIN --out new --seed-arch {junk} | 2 | --seed-arch
        STANDIN --out new --seed-arch {nested} | 2 | --seed-arch
        STANDIN --out new --seed-arch {noarch} | 2 | --seed-arch
        STANDIN --out new --seed-arch {outside} | 2 | is not in the space
        STANDIN --out new --seed-arch {bottleneck} | 2 | is of bottleneck blocks and the space is of basic
        STANDIN --out new --storage '' | 2 | in memory and gone with the process
        STANDIN --out new --storage sqlite:// | 2 | in memory and gone with the process
        STANDIN --out new --storage sqlite:/// | 2 | in memory and gone with the process
        STANDIN --out new --storage sqlite:///:memory: | 2 | in memory and gone with the process
        STANDIN --out new --storage nonsense | 2 | cannot open the storage
        STANDIN --out new --storage sqlite:////no/such/folder/x.db | 2 | cannot open the storage
        STANDIN --out new --launcher ray --ray-address 127.0.0.1:1 | 2 | no Ray cluster answers
        STANDIN --out new --launcher ray --ray-address http://x | 2 | --ray-address is auto or the HOST:PORT
        STANDIN --out new --launcher ray --ray-address :99999999 | 2 | --ray-address is auto or the HOST:PORT
        STANDIN --out new --launcher ray --ray-address 127.0.0.1:99999999 | 2 | no Ray cluster answers
        --resume | 2 | there is no search under runs/ to resume
        --resume --out {absent} | 2 | holds no search
        --resume --out {empty} | 2 | holds no search
        --resume --out {file} | 2 | is a file: give the folder
        --resume --out {long} | 2 | File name too long
        --resume --out {loop} | 2 | symbolic links
        --resume --out {junkrun} | 2 | run.json is damaged (it is no text)
        --resume --out {foldrun} | 2 | Is a directory
        --resume --out {format99} | 2 | is of format 99, and this version reads 1
        --resume --out {formatword} | 2 | is of format 'new', and this version reads 1
        --resume --out {noproxy} | 2 | no 'proxy'
        --resume --out {noconfig} | 2 | no 'config'
        --resume --out {badconfig} | 2 | run.json is damaged
        --resume --out {badproxy} | 2 | run.json is damaged (a proxy lacks the setting 'resolution')
        --resume --out {badstore} | 2 | store.url
        --resume --out {old} --strategy gp | 2 | --strategy cannot change on --resume
        --resume --out {old} --budget 1GFLOPs | 2 | --budget cannot change on --resume
        --resume --out {old} --proxy short | 2 | --proxy cannot change on --resume
        --resume --out {old} --data {data} | 2 | --data cannot change on --resume
        --resume --out {old} --max-depth 3 | 2 | the space cannot change on --resume
    """,
    "nas.status": """
        '' | 2 | the path is empty
        --runs '' | 2 | the path is empty
        --watch | 2 | --watch follows one search
        {bare} --watch --every 0 | 2 | --every is a positive number
        {absent} | 2 | holds no search
        {empty} | 2 | holds no search
        {file} | 2 | is a file: give the folder
        {long} | 2 | File name too long
        {loop} | 2 | symbolic links
        {junkrun} | 2 | run.json is damaged
        {foldrun} | 2 | Is a directory
        {format99} | 2 | is of format 99
        {badresources} | 2 | resources[0].since is 3, not text
        {baddata} | 2 | data is [1], not an object
        {badstore} | 2 | store.url
        {gonestore} | 2 | which is not there: put it back
        {nojournal} | 2 | has no study.log: the search has recorded nothing yet
        {foldjournal} | 1 | Is a directory
        {cutjournal} | 2 | is damaged before its end
    """,
    "nas.retrain.__main__": """
        '' | 2 | the path is empty
        {absent} TRAIN | 2 | holds no search
        {file} TRAIN | 2 | is a file: give the folder
        {long} TRAIN | 2 | File name too long
        {junkrun} TRAIN | 2 | run.json is damaged
        {format99} TRAIN | 2 | is of format 99
        {bare} TRAIN | 2 | was searched without a data set
        {nothing} TRAIN --data {data} | 2 | has no finished trial to choose from
        {run} TRAIN --data {absent} | 2 | no data folder
        {run} TRAIN --data {empty} | 2 | is not a whole WCPA data set
        {run} TRAIN --top -1 | 2 | --top is a number of architectures
        {run} TRAIN --top 0 --no-control | 2 | there is nothing to train
        {run} TRAIN --spec resnet99 | 2 | 'resnet99' is neither
        {run} TRAIN --spec {junk} | 2 | neither
        {run} TRAIN --spec {nested} | 2 | nested
        {run} TRAIN --spec {empty} | 2 | Is a directory
        {run} TRAIN --proxy huge | 2 | is neither one of
        {run} TRAIN --momentum 1.5 | 2 | momentum of a proxy is a number from 0 to below 1
        {run} TRAIN --lr 0 | 2 | a learning rate is positive
        {run} TRAIN --weight-decay -1 | 2 | weight_decay
        {run} TRAIN --scale 2 | 2 | scale
        {run} TRAIN --resolution 33 | 2 | an even resolution
        {run} TRAIN --resolution 100000 | 2 | to 1024
        {run} TRAIN --epochs 0 | 2 | epochs and batch are at least 1
        {run} TRAIN --epochs 1.5 | 2 | --epochs
        {run} TRAIN --precision fp8 | 2 | precision is auto, fp32 or bf16
        {run} TRAIN --seed -1 | 2 | --seed is 0 or more
        {run} TRAIN --gpus 0 | 2 | --gpus is the number of processes
        {run} TRAIN --gpus 2 | 2 | --launcher inprocess trains in one process
        {run} TRAIN --batch-per-gpu 4 | 2 | say the same thing twice
        {run} TRAIN --device cuda | 2 | no GPU is visible here
        {run} TRAIN --batch 1000000 | 2 | do not fill one batch
    """,
    "nas.ensemble.__main__": """
        '' | 2 | the path is empty
        {absent} QUIET | 2 | holds no search
        {file} QUIET | 2 | is a file: give the folder
        {bare} QUIET | 2 | holds no finished retraining: run python -m nas.retrain
        {running} QUIET | 2 | holds no finished retraining
        {run} QUIET --members nobody | 2 | has no finished retraining 'nobody': there are
        {run} QUIET --seed -1 | 2 | --seed is 0 or more
        {run} QUIET --frames -1 | 2 | --frames is a number of images
        {run} QUIET --budget five | 2 | 'five' is no budget
        {run} QUIET --budget 0.001GFLOPs | 2 | no member fits a budget
        {run} QUIET --data {absent} | 2 | no data folder
        {run} QUIET --data {empty} | 2 | is not a whole WCPA data set
        {run} --quiet --device cuda | 2 | no GPU is visible here
        {run} --quiet --device cuda:7 | 2 | no GPU is visible here
        {run} --quiet --device tpu | 2 | a device is auto, cpu, cuda or cuda:N, not 'tpu'
        {run} --quiet --device mps | 2 | a device is auto, cpu, cuda or cuda:N
        {noweights} QUIET | 2 | lacks the weights that metrics.json scores (best.pt is missing)
        {junkweights} QUIET | 2 | lacks the weights that metrics.json scores (best.pt cannot be read)
        {emptymetrics} QUIET | 2 | metrics.json is damaged (status is missing)
        {junkmetrics} QUIET | 2 | metrics.json is damaged (it is no text)
        {deepmetrics} QUIET | 2 | metrics.json is damaged (its brackets are nested too deeply)
    """,
    "nas.predict.__main__": """
        {run} --split test --out '' QUIET | 2 | the path is empty
        {run} --split all --out p.npz QUIET | 2 | --split
        {run} --out p.npz QUIET | 2 | --split
        {absent} --split test --out p.npz QUIET | 2 | holds no search
        {file} --split test --out p.npz QUIET | 2 | is a file: give the folder
        {bare} --split test --out p.npz QUIET | 2 | holds no finished retraining
        {run} --split test --out p.csv QUIET | 2 | ends in .npz
        {run} --split test --out {junk} QUIET | 2 | exists and holds no predictions
        {run} --split test --out {file}/p.npz QUIET | 2 | cannot be a folder
        {run} --split test --out {long}.npz QUIET | 2 | File name too long
        {run} --split test --out p.npz --overlay -1 QUIET | 2 | --overlay is a number of pictures
        {run} --split val --out p.npz --trainval QUIET | 2 | have seen the validation subjects
        {run} --split test --out p.npz --trainval QUIET | 2 | no finished retraining on all subjects
        {run} --split test --out p.npz --member nobody QUIET | 2 | has no finished retraining 'nobody'
        {run} --split test --out p.npz --member ensemble QUIET | 2 | has no ensemble yet: run python -m
        {badensemble} --split test --out p.npz QUIET | 2 | members.json is damaged
        {run} --split test --out p.npz --data {absent} QUIET | 2 | no data folder
        {run} --split test --out p.npz --data {twice} QUIET | 2 | twice
        {run} --split test --out p.npz --quiet --device cuda | 2 | no GPU is visible here
        {run} --split test --out p.npz --quiet --device tpu | 2 | a device is auto, cpu, cuda or cuda:N
        {noweights} --split test --out p.npz QUIET | 2 | lacks the weights
        {emptymetrics} --split test --out p.npz QUIET | 2 | metrics.json is damaged
    """,
    "nas.export.__main__": """
        '' | 2 | the path is empty
        resnet99 | 2 | 'resnet99' is neither
        {absent} | 2 | neither
        {junk} | 2 | neither
        {nested} | 2 | nested
        {list} | 2 | list.json
        {noarch} | 2 | noarch.json
        {long} | 2 | File name too long
        {empty} | 2 | holds no search
        {junkrun} | 2 | run.json is damaged
        {nothing} | 2 | has no finished trial, so there is nothing to export yet
        resnet34 --format pdf | 2 | --format
        resnet34 --format onnx | 2 | has no trained weights
        resnet34 --batch 0 | 2 | --batch is a number of images
        resnet34 --member x | 2 | --member picks a network of a run
        resnet34 --out '' | 2 | the path is empty
        resnet34 --out {file} | 2 | cannot be a folder
        resnet34 --out {long} | 2 | File name too long
        {run} --member nobody --out new | 2 | has no finished retraining 'nobody'
        {run} --format onnx --batch 1000000 --out new | 2 | GB to check
        {noweights} --out new | 2 | lacks the weights
        {emptymetrics} --out new | 2 | metrics.json is damaged
    """,
    "reports.build": """
        '' | 2 | the path is empty
        {absent} | 2 | holds no search
        {file} | 2 | is a file: give the folder
        {junkrun} | 2 | run.json is damaged
        {format99} | 2 | is of format 99
        {nojournal} | 2 | has no study.log
        {bare} --out '' | 2 | the path is empty
        {bare} --out {mine} | 2 | holds files that reports.build did not write (figures, index.html, log.txt)
        {bare} --out {file} | 2 | cannot be a folder
        {bare} --out {long} | 2 | File name too long
        {bare} --out new --predictions {absent} | 2 | absent
        {bare} --out new --predictions {junk} | 2 | junk.npz
        {bare} --out new --predictions {empty} | 2 | empty
    """,
    "reports.compare": """
        {bare} | 2 | a comparison needs at least two runs
        {bare} {bare} | 2 | is named twice
        {bare} {absent} | 2 | holds no search
        {bare} {file} | 2 | is a file: give the folder
        {bare} '' | 2 | the path is empty
        {bare} {old} --out {mine} | 2 | holds files that reports.compare did not write
        {bare} {old} --out '' | 2 | the path is empty
        {bare} {old} --out {file} | 2 | cannot be a folder
    """,
    "proxy_tasks.check": """
        '' | 2 | the path is empty
        {absent} | 2 | no data folder
        {file} | 2 | no data folder
        {empty} | 2 | is not a whole WCPA data set
        {junkobj} | 2 | is not a readable Wavefront mesh
        {data} --workers -1 | 2 | --workers
        {data} --workers 1000000 | 2 | --workers is 1 or more, up to 512
        {data} --limit -1 | 2 | --limit is 0 or more
        {data} --pixels nan | 2 | --pixels is 0 or more
        {data} --overlay x.gif | 2 | is no picture's name
        {data} --overlay {picture} | 2 | was not drawn by this project
        {data} --overlay '' | 2 | the path is empty
    """,
    "proxy_tasks.synthesize": """
        --subjects 3 | 2 | --out
        --out '' | 2 | the path is empty
        --out {mine} | 2 | already holds something
        --out {file} | 2 | already holds something
        --out new --subjects 0 | 2 | training and
        --out new --test-subjects -1 | 2 | test subjects
        --out new --frames 0 | 2 | frames per subject
        --out new --size 10 | 2 | images of 10 pixels
        --out new --size 100000 | 2 | images of 100000 pixels
        --out new --seed -1 | 2 | seed -1
        --out new --workers 0 | 2 | at least 1 is needed
        --out new --workers 100000 | 2 | at most 512
        --out new --face-model {absent} | 2 | absent
        --out new --face-model {junk} | 2 | junk.npz
        --contact-sheet {picture} | 2 | was not drawn by this project
        --contact-sheet x.gif | 2 | name a .jpg or a .png
    """,
    "proxy_tasks.proxies": """
        --proxy tiny | 2 | is neither one of mini, short, full
        --proxy {junk} | 2 | is no JSON file of settings
        --proxy {nested} | 2 | nested too deeply
        --proxy {flip} | 2 | flip of a proxy is true or false
        --proxy {long} | 2 | File name too long
        --base tiny | 2 | --base
    """,
    "proxy_tasks.latency.__main__": """
        '' | 2 | calibrate
        show resnet34 | 2 | python -m proxy_tasks.latency calibrate
        show resnet34 --table {absent} | 2 | absent
        show resnet34 --table {junk} | 2 | junk.npz
        show resnet34 --table {nested} | 2 | nested.json
        show resnet34 --table {list} | 2 | list.json
        show resnet34 --device cuda | 2 | GPU
        show resnet34 --batch 0 | 2 | batch
        show resnet34 --mode fast | 2 | mode
        show resnet34 --precision fp8 | 2 | precision
        show resnet34 --threads 0 | 2 | threads
        calibrate --budget five | 2 | 'five' is no budget
        calibrate --seconds nan | 2 | seconds
        calibrate --seed -1 | 2 | seed
        validate --seed -1 | 2 | --seed is 0 or more
        validate --networks 1 | 2 | --networks is at least 2
    """,
    "nas.__main__": """
        extra | 2 | unrecognized arguments
    """,
    "proxy_tasks.bench.__main__": """
        query --rows {junk} | 2 | junk.npz
        query --rows {absent} | 2 | there are no rows
        build --table none --data {data} --out rows.jsonl | 2 | there is no table
        build --data {absent} --out rows.jsonl --part 3/2 | 2 | a part is I/N
    """,
    "reports.evidence": """
        --rows {absent} --out x.png | 2 | there is no file
        --rows {file} --out '' | 2 | the path is empty
        --rows {file} --out x.gif | 2 | is no picture's name
        --rows {file} --out {picture} | 2 | was not drawn by this project
        --rows {file} --out x.png | 2 | no complete run
        --rows {file} --out x.png --confirmed cpu-1.2G-confirm={absent} | 2 | there is no file
    """,
    "proxy_tasks.fidelity": """
        '' | 2 | the path is empty
        {absent} | 2 | there is no file
        {junk} | 2 | junk.npz
        {junk} --bound much | 2 | --bound
        {empty} | 2 | there is no file
        {file} | 2 | the table holds no complete run
    """,
}
SHORT = {"SEARCH": SEARCH, "STANDIN": STANDIN, "TRAIN": TRAIN, "QUIET": QUIET}
CASES = [
    (door, *(part.strip() for part in line.rsplit(" | ", 2)))
    for door, lines in TABLE.items()
    for line in lines.splitlines()
    if line.strip()
]


@pytest.fixture(scope="module")
def place(tmp_path_factory, retrained, wcpa_of_ten):
    return doors_place.furnish(tmp_path_factory.mktemp("doors"), retrained, wcpa_of_ten)


def test_the_table_has_every_command_and_more_than_150_cases():
    from test_space_commandline import COMMANDS

    assert len(CASES) > 150 and {*TABLE} == {*COMMANDS}


@pytest.mark.parametrize(("door", "asked", "status", "words"), CASES, ids=[f"{c[0]} {c[1]}" for c in CASES])
def test_a_request_that_cannot_be_served(door, asked, status, words, place, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAY_ADDRESS", "")
    argv = [word for each in shlex.split(asked) for word in shlex.split(SHORT.get(each, shlex.quote(each)))]
    argv = [word.format(**place) for word in argv]
    before = contents(Path(place["mine"]))
    try:
        ended = import_module(door).main(argv)
    except SystemExit as end:
        ended = end.code
    said = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("warning: ")]
    assert len(said) == 1 and words in said[0], said
    assert said[0].startswith(door.removesuffix(".__main__")), "it says which command speaks"
    assert ended == int(status)
    assert list(tmp_path.iterdir()) == [], "nothing is left of a refused request"
    assert contents(Path(place["mine"])) == before, "nothing of the user's is touched"


def contents(folder: Path) -> dict[str, str]:
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()}
