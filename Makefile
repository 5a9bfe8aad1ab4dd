# Every verb is one `python -m …` line. The virtual environment is made from requirements.lock when it is first
# needed. All paths of the project are relative, so the checkout may lie anywhere, spaces included.

PROFILE ?= mini
DATA ?=
WEIGHTS ?=
RUNS ?= runs
CELLS ?=
TABLE ?=
SEEDS ?= 0
SET ?=
JOBS ?=
DEVICE ?=
WORKERS ?=
RERUN ?=
EXECUTOR ?= local
CLUSTER ?=
DRY ?=
WATCH ?=
CELL ?=
LOG ?=
IMAGE ?=
TAG ?=
CHECKPOINT ?=
LAYERS ?=
PICK ?=
BOX_SIDE ?=
PICTURES ?=
BACKBONES ?=
MINUTES ?=
MODEL ?=
CORRUPT ?= noise=0.05,0.1,0.2 blur=1,2 jpeg=50,10 occlude=0.1,0.3
GALLERY ?=
OUT ?=
TO ?=
TUNE ?=
TRACK ?=
MIRROR ?=
AGAIN ?=
ONLY ?=
A ?=
B ?=
PYTHON ?= python3
TESTS ?= tests

PY := .venv/bin/python
VENV := .venv/.installed
OPTIONAL := .venv/.optional
# A value as one shell word, whatever it holds.
q = '$(subst ','\'',$(1))'
PLACES = --profile $(call q,$(PROFILE)) --runs $(call q,$(RUNS)) --data $(call q,$(DATA)) \
	--weights $(call q,$(WEIGHTS)) --set $(call q,$(SET))
GRID = --cells $(call q,$(CELLS)) --seeds $(call q,$(SEEDS))
# All tables' cells, or those of TABLE alone: the only way to patterns over the ablations' variants.
FROM = $(if $(TABLE),--table $(call q,$(TABLE)))
MACHINE = $(if $(JOBS),--jobs $(call q,$(JOBS))) $(if $(DEVICE),--device $(call q,$(DEVICE))) \
	$(if $(WORKERS),--workers $(call q,$(WORKERS))) $(if $(TUNE),--tune $(call q,$(TUNE))) $(if $(TRACK),--track $(call q,$(TRACK))) \
	$(if $(RERUN),--rerun $(call q,$(RERUN)))

# What goes to a cluster: its file, and the machine's options that runs have there.
SITE = $(if $(CLUSTER),--cluster $(call q,$(CLUSTER))) $(if $(DEVICE),--device $(call q,$(DEVICE))) \
	$(if $(WORKERS),--workers $(call q,$(WORKERS))) $(if $(TUNE),--tune $(call q,$(TUNE))) $(if $(TRACK),--track $(call q,$(TRACK))) \
	$(if $(RERUN),--rerun $(call q,$(RERUN))) $(if $(REHEARSED),--dry)
REHEARSED = $(filter-out 0,$(DRY))
LAUNCH = $(if $(filter slurm,$(EXECUTOR)),-m slurm submit,$(if $(filter local,$(EXECUTOR)),-m benchmark launch))

refuse = $(if $(1),echo $(call q,error: $(strip $(1))) >&2; exit 2;)
# What makes no sense of a verb that runs a table.
define REFUSALS
@$(call refuse,$(if $(LAUNCH),,EXECUTOR=$(EXECUTOR): expected local or slurm))
@$(call refuse,$(and $(REHEARSED),$(filter local,$(EXECUTOR)),DRY shows what would go to a cluster: add EXECUTOR=slurm))
@$(call refuse,$(and $(JOBS),$(filter slurm,$(EXECUTOR)),JOBS is for this machine; on a cluster the cluster file caps with parallel))
endef

.DEFAULT_GOAL := help
.PHONY: help table1 table2 extras ablations tables report heatmaps heatmap attention list settings check-data weights forecast bench \
	bench-compare mini-data mini-weights optional run evaluate robustness predict export submit status retry cancel logs test test-slurm lint format clean distclean

help: ## this list
	@echo "make VERB [VARIABLE=value …]"
	@echo
	@grep -E '^[a-z0-9-]+:.*## ' Makefile | sed -E 's/^([a-z0-9-]+):.*## (.*)/  \1|\2/' | awk -F'|' '{printf "%-14s %s\n", $$1, $$2}'
	@echo
	@echo "Variables, with their values now:"
	@echo "  PROFILE=$(PROFILE)      recipe: mini (generated pictures, minutes on a CPU), quick (real pictures, one machine), paper"
	@echo "  DATA=$(DATA)             folder that holds the datasets; none: the mini profile's own, written on first use"
	@echo "  WEIGHTS=$(WEIGHTS)          folder of pretrained weights; none: the Hugging Face cache, else a download"
	@echo "  RUNS=$(RUNS)         folder of run records and tables; make tables and make report also take several, 'mine theirs'"
	@echo "  CELLS=$(CELLS)            patterns dataset/backbone/method, e.g. 'cub/deit_*/dcal cars'; none: all"
	@echo "  TABLE=$(TABLE)            table1, table2, extras or ablations: only its cells, for list, status, submit, forecast and the like; none: the three tables"
	@echo "  SEEDS=$(SEEDS)           seeds, e.g. '0 1 2'"
	@echo "  SET=$(SET)              settings, e.g. 'train.epochs=3 model.glca_readout=mean'; make settings lists them"
	@echo "  JOBS=$(JOBS)             runs at once; none: one a GPU, or one a core"
	@echo "  DEVICE=$(DEVICE)           auto, cpu or cuda; none: as the profile says"
	@echo "  WORKERS=$(WORKERS)          decoding processes a run; none: as the machine allows"
	@echo "  TUNE=$(TUNE)             speed and memory, not the numbers: 'accumulate=2 recompute=true compile=true' (benchmark/README.md)"
	@echo "  TRACK=$(TRACK)            tensorboard, wandb or both: show histories there, too (benchmark/trackers/README.md); needs make optional"
	@echo "  RERUN=$(RERUN)            stale: set runs of other settings aside and run their cells anew"
	@echo "  MIRROR=$(MIRROR)           folder that make weights copies from; none: the hub"
	@echo "  AGAIN=$(AGAIN)            1: make forecast measures also what it measured before"
	@echo "  ONLY=$(ONLY) A=$(A) B=$(B)          make bench: which benchmarks; make bench-compare: two of its results"
	@echo "  EXECUTOR=$(EXECUTOR)    local, or slurm: submit to a cluster and return"
	@echo "  CLUSTER=$(CLUSTER)          cluster file; none: slurm/cluster.toml (slurm/README.md)"
	@echo "  DRY=$(DRY)              1: with submit, retry and EXECUTOR=slurm, print what would be sent, and send nothing"
	@echo "  WATCH=$(WATCH)            1 or a number of seconds: make status repeats itself"
	@echo "  CELL=$(CELL) LOG=$(LOG)        make run, logs, heatmap and export: which cell, with SEEDS; make run: steps between two lines of its log"
	@echo "  PICK=$(PICK) LAYERS=$(LAYERS)     heatmaps: which test pictures (reports/README.md), which blocks, e.g. 1-11"
	@echo "  IMAGE=$(IMAGE) TAG=$(TAG) CHECKPOINT=$(CHECKPOINT)   make heatmap: any picture (make predict, too), timm model, checkpoint file"
	@echo "  MODEL=$(MODEL)            make evaluate, robustness and predict: a run like cub/deit_tiny/dcal, its folder, or a .safetensors file"
	@echo "  CORRUPT=$(CORRUPT)   make robustness: kinds and levels"
	@echo "  GALLERY=$(GALLERY) OUT=$(OUT) TO=$(TO)   make predict: pictures to find the nearest of; where to; make export: which file"
	@echo "  BOX_SIDE=$(BOX_SIDE)         make attention: longest side of the pictures that the boxes were drawn on"
	@echo "  PICTURES=$(PICTURES)         0: make report draws no heatmaps"
	@echo "  PYTHON=$(PYTHON)    interpreter (3.11 to 3.13) the virtual environment is made with, once"
	@echo "  TESTS=$(TESTS)       what make test runs"
	@echo "  BACKBONES=$(BACKBONES) MINUTES=$(MINUTES)   for make mini-weights: which (none: all), CPU minutes of each"

table1: $(VENV) ## run what is missing of Table 1 (fine-grained), then write and print the table
table2: $(VENV) ## run what is missing of Table 2 (re-identification), then write and print the table
extras: $(VENV) ## the same for the paper's further backbones, CaiT and Swin
# The tables of one folder, even where its name has spaces: quoted once for the shell, once for who reads several.
table1 table2 extras:
	$(REFUSALS)
	@$(PY) $(LAUNCH) --table $@ $(PLACES) $(GRID) $(if $(filter slurm,$(EXECUTOR)),$(SITE),$(MACHINE)); status=$$?; \
	if [ $$status -eq 2 $(if $(REHEARSED),-o 1) ]; then exit $$status; fi; \
	$(PY) -m tables $@ $(PLACES) --runs $(call q,$(call q,$(RUNS))) --seeds $(call q,$(SEEDS)) && exit $$status

ablations: $(VENV) ## run what is missing of the paper's ablations, count GLCA's cost, write table, figures and page
	$(REFUSALS)
	@$(PY) $(LAUNCH) --table $@ $(PLACES) $(GRID) $(if $(filter slurm,$(EXECUTOR)),$(SITE),$(MACHINE)); status=$$?; \
	if [ $$status -eq 2 $(if $(REHEARSED),-o 1) ]; then exit $$status; fi; \
	$(PY) -m benchmark overhead $(PLACES) && \
	$(PY) -m tables $@ $(PLACES) --runs $(call q,$(call q,$(RUNS))) --seeds $(call q,$(SEEDS)) && \
	$(PY) -m reports $@ $(PLACES) --runs $(call q,$(call q,$(RUNS))) --seeds $(call q,$(SEEDS)) && exit $$status

run: $(VENV) ## one run by hand with its log: CELL=dataset/backbone/method, the dataset also a folder of your own in DATA; LOG=steps
	@$(call refuse,$(if $(CELL),,which run? make run CELL=cub/deit_tiny/dcal))
	@$(call refuse,$(if $(word 2,$(SEEDS)),one run has one seed: SEEDS=0))
	@$(call refuse,$(if $(JOBS),JOBS is for several runs: make table1))
	@$(PY) -m benchmark run $(call q,$(CELL)) $(PLACES) --seed $(call q,$(SEEDS)) $(MACHINE) $(if $(LOG),--log-interval $(call q,$(LOG)))

submit: $(VENV) ## submit what is missing to the cluster, of all tables or of CELLS; DRY=1 prints what would be sent
	@$(PY) -m slurm submit $(PLACES) $(GRID) $(FROM) $(SITE)

status: $(VENV) ## every run with its state, progress and place, from run folders and SLURM; WATCH=1 repeats it
	@$(PY) -m slurm status $(PLACES) $(GRID) $(FROM) $(if $(filter-out 0,$(WATCH)),--watch $(if $(filter 1,$(WATCH)),30,$(WATCH)))

retry: $(VENV) ## submit failed and preempted runs again
	@$(PY) -m slurm retry $(PLACES) $(GRID) $(FROM) $(SITE)

cancel: $(VENV) ## take queued runs back and end running ones, which save first
	@$(PY) -m slurm cancel $(PLACES) $(GRID) $(FROM)

logs: $(VENV) ## the end of the log of CELL=dataset/backbone/method, and of its job's output
	@$(call refuse,$(if $(CELL),,which run? make logs CELL=cub/deit_tiny/dcal))
	@$(PY) -m slurm logs $(PLACES) --cells $(call q,$(CELL)) --seeds $(call q,$(SEEDS))

tables: $(VENV) ## write and print all tables from what is there; starts no run
	@for table in table1 table2 extras ablations; do $(PY) -m tables $$table $(PLACES) --seeds $(call q,$(SEEDS)) || exit $$?; done

report: $(VENV) ## write the pages: tables, verdicts, curves, heatmaps, costs, of all seeds there are; PICTURES=0: records alone
	@$(PY) -m reports page $(PLACES) $(if $(filter file,$(origin SEEDS)),,--seeds $(call q,$(SEEDS))) $(if $(filter 0,$(PICTURES)),--no-pictures)

heatmaps: $(VENV) ## draw where baseline and DCAL look, for CELLS; PICK and LAYERS
	@$(PY) -m reports heatmaps $(PLACES) $(GRID) $(if $(PICK),--pick $(call q,$(PICK))) $(if $(LAYERS),--layers $(call q,$(LAYERS))) \
	$(if $(JOBS),--jobs $(call q,$(JOBS)))

heatmap: $(VENV) ## the same for IMAGE, with the runs of CELL=dataset/backbone, a CHECKPOINT, or the weights of a timm TAG
	@$(call refuse,$(if $(IMAGE),,which picture? make heatmap IMAGE=bird.jpg CELL=cub/deit_tiny))
	@$(call refuse,$(if $(CELL)$(TAG),,with which model? CELL=cub/deit_tiny for runs, or TAG=deit_tiny_patch16_224.fb_in1k for timm weights))
	@$(PY) -m reports heatmap $(PLACES) --seeds $(call q,$(SEEDS)) --image $(call q,$(IMAGE)) $(if $(CELL),--cell $(call q,$(CELL))) \
	$(if $(TAG),--tag $(call q,$(TAG))) $(if $(CHECKPOINT),--checkpoint $(call q,$(CHECKPOINT))) $(if $(LAYERS),--layers $(call q,$(LAYERS)))

attention: $(VENV) ## measure how concentrated attention is, and its share on the object, for CELLS; BOX_SIDE and LAYERS
	@$(PY) -m reports attention $(PLACES) $(GRID) $(if $(LAYERS),--layers $(call q,$(LAYERS))) \
	$(if $(BOX_SIDE),--box-side $(call q,$(BOX_SIDE))) $(if $(DEVICE),--device $(call q,$(DEVICE))) \
	$(if $(WORKERS),--workers $(call q,$(WORKERS)))

evaluate: $(VENV) ## evaluate finished runs again, against their records: CELLS, or MODEL=run, folder or file; DATA=folder of your own
	@$(PY) -m benchmark evaluate $(PLACES) $(GRID) $(FROM) $(if $(DEVICE),--device $(call q,$(DEVICE))) \
	$(if $(WORKERS),--workers $(call q,$(WORKERS))) $(if $(MODEL),$(call q,$(MODEL)))

robustness: $(VENV) ## the same on pictures made worse, baseline against DCAL, as table and plot: CELLS='cub/deit_tiny/*', CORRUPT
	@$(PY) -m benchmark evaluate $(PLACES) $(GRID) --corrupt $(call q,$(CORRUPT)) $(if $(DEVICE),--device $(call q,$(DEVICE))) \
	$(if $(WORKERS),--workers $(call q,$(WORKERS))) $(if $(OUT),--out $(call q,$(OUT))) $(if $(MODEL),$(call q,$(MODEL)))

predict: $(VENV) ## what MODEL=run, folder or file says of IMAGE, and where it looks; GALLERY for re-identification
	@$(call refuse,$(if $(and $(IMAGE),$(MODEL)),,make predict IMAGE=bird.jpg MODEL=cub/deit_tiny/dcal))
	@$(PY) -m benchmark predict $(PLACES) --seeds $(call q,$(SEEDS)) --image $(call q,$(IMAGE)) --model $(call q,$(MODEL)) \
	$(if $(GALLERY),--gallery $(call q,$(GALLERY))) $(if $(OUT),--out $(call q,$(OUT))) $(if $(DEVICE),--device $(call q,$(DEVICE)))

export: $(VENV) ## write the model of CELL's finished run to one file: TO=bird.safetensors, .onnx or .pt2
	@$(call refuse,$(if $(CELL),,which run? make export CELL=cub/deit_tiny/dcal TO=bird.safetensors))
	@$(call refuse,$(if $(TO),,into which file? TO=bird.safetensors, .onnx or .pt2))
	@$(PY) -m benchmark export $(PLACES) --seeds $(call q,$(SEEDS)) $(call q,$(CELL)) --to $(call q,$(TO))

list: $(VENV) ## every run of the grid with its state
	@$(PY) -m benchmark list $(PLACES) $(GRID) $(FROM)

settings: $(VENV) ## every setting of the profile with its value
	@$(PY) -m benchmark settings $(PLACES)

check-data: $(VENV) ## compare the datasets in DATA with the official counts, open every picture
	@$(PY) -m benchmark check-data $(PLACES) $(GRID) $(FROM)

weights: $(VENV) ## fetch the pretrained weights that CELLS need into WEIGHTS, verified and recorded; MIRROR=folder copies them
	@$(PY) -m benchmark weights $(PLACES) $(GRID) $(FROM) $(if $(MIRROR),--mirror $(call q,$(MIRROR)))

forecast: $(VENV) ## measure a few steps of CELLS on this machine's DEVICE, and print what their runs will take
	@$(PY) -m benchmark forecast $(PLACES) $(GRID) $(FROM) $(if $(JOBS),--jobs $(call q,$(JOBS))) \
	$(if $(DEVICE),--device $(call q,$(DEVICE))) $(if $(WORKERS),--workers $(call q,$(WORKERS))) \
	$(if $(TUNE),--tune $(call q,$(TUNE))) $(if $(filter-out 0,$(AGAIN)),--again)

mini-data: $(VENV) ## write the generated mini sets
	@$(PY) -m benchmark mini-data $(PLACES)

mini-weights: $(VENV) ## train the mini backbones anew (minutes each); the result is committed
	$(PY) -m benchmark.mini.pretrain $(if $(BACKBONES),--backbone $(BACKBONES),--all) $(if $(MINUTES),--minutes $(MINUTES))

bench: $(VENV) ## measure time and memory, against the usual code where there is one; ONLY=training, DEVICE=cuda
	$(PY) -m benchmark.bench --out $(call q,$(RUNS)/bench) $(foreach name,$(ONLY),--only $(call q,$(name))) \
	$(if $(DEVICE),--device $(call q,$(DEVICE)))

bench-compare: $(VENV) ## put two results of make bench side by side: A=folder B=folder
	@$(call refuse,$(if $(and $(A),$(B)),,which two? make bench-compare A=runs/bench B=other/bench))
	@$(PY) -m benchmark.bench.compare $(call q,$(A)) $(call q,$(B))

test: $(OPTIONAL) ## run the tests
	$(PY) -m pytest $(TESTS)

test-slurm: $(OPTIONAL) ## run the tests that bring up a SLURM of their own (Debian's slurm-wlm and munge, root)
	$(PY) -m pytest tests/slurm

optional: $(OPTIONAL) ## install what only some uses need: TensorBoard, W&B, ONNX, Hugging Face transformers

lint: $(VENV) ## check code and format
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

format: $(VENV) ## format the code
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

clean: ## remove caches; run records and data stay
	find . -path ./.venv -prune -o -name __pycache__ -type d -exec rm -rf {} +
	rm -rf .pytest_cache .ruff_cache .hypothesis

distclean: clean ## remove the virtual environment as well
	rm -rf .venv

$(VENV): requirements.lock
	@command -v $(call q,$(PYTHON)) >/dev/null || { echo "error: no interpreter $(PYTHON); set PYTHON=python3.12 or the like" >&2; exit 2; }
	@$(call q,$(PYTHON)) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 11) <= v < (3, 14) else f"error: Python 3.11 to 3.13 is needed, {sys.executable} is {v.major}.{v.minor}; set PYTHON=")'
	@echo "making .venv with $(PYTHON) (once, several GB with the CUDA build of PyTorch on Linux)" >&2
	@test -x $(PY) || $(call q,$(PYTHON)) -m venv .venv
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps -r requirements.lock
	@touch $(VENV)

$(OPTIONAL): $(VENV) tests/optional.lock
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps -r tests/optional.lock
	@touch $(OPTIONAL)
