# Checks the variables of a call of make and takes their values as they were written. Make never expands a value: a $ in
# it stays a $, and $(shell …) in it is text. Included by the Makefile after the READS_ lists; works with GNU make 3.81.

# A value as one shell word, whatever it holds.
q = '$(subst ','\'',$(1))'
define newline


endef
comma := ,
empty :=
space := $(empty) $(empty)

VERBS := $(patsubst READS_%,%,$(filter READS_%,$(.VARIABLES)))
KNOWN := $(sort PYTHON $(foreach verb,$(VERBS),$(READS_$(verb))))
READS_help := $(KNOWN)
# Make's own, which every verb takes.
MAKES_OWN := MAKEFLAGS MAKE SHELL
GOALS := $(or $(MAKECMDGOALS),help)
# Goals that are no verb, such as .venv/.installed, read what they like.
READ := $(sort PYTHON $(foreach goal,$(GOALS),$(if $(filter $(goal),help $(VERBS)),$(READS_$(goal)))))

is_from = $(filter $(1),$(firstword $(origin $(2))))
GIVEN := $(filter-out $(MAKES_OWN),$(foreach name,$(.VARIABLES),$(if $(call is_from,command,$(name)),$(name))))
# The variables of the tests have the prefix in their own names: on the command line, too, and never twice.
OF_TESTS := $(filter DCAL_%,$(KNOWN))
PREFIXED := $(filter-out $(GIVEN) $(OF_TESTS),$(foreach name,$(filter DCAL_%,$(.VARIABLES)),$(if $(call is_from,environment,$(name)),$(name))))
INHERITED := $(filter-out $(GIVEN),$(patsubst DCAL_%,%,$(PREFIXED)))

# First of all, before make starts any process: from here on no value can be expanded.
$(foreach name,$(GIVEN),$(eval override $(name) := $$(value $(name))))
$(foreach name,$(filter $(KNOWN),$(INHERITED)),$(eval override $(name) := $$(value DCAL_$(name))))
$(foreach name,$(filter $(OF_TESTS),$(GIVEN)),$(eval export $(name)))

# One line a fault: what was found, what was expected.
shown = $(1)=$(subst $(newline),\n,$(value $(1)))
nearest = $(shell $(call q,$(PYTHON)) -c 'import difflib, sys; print(*difflib.get_close_matches(sys.argv[1].upper(), sys.argv[2:], 1))' \
	$(call q,$(1)) $(2) 2>/dev/null)
hint = $(foreach near,$(call nearest,$(1),$(2)),; nearest: $(3)$(near))
said_unknown = $(call shown,$(1)): there is no variable $(1)$(call hint,$(1),$(KNOWN)). `make help` lists them all
said_prefixed = DCAL_$(1) in the environment: there is no variable $(1)$(call hint,$(1),$(KNOWN),DCAL_). `make help` lists them all
said_unread = $(call shown,$(1)): make $(GOALS) does not read $(1)$(call hint,$(1),$(READ)). It is read by $(call list,$(call readers,$(1)))
readers = $(sort $(foreach verb,$(filter-out help,$(VERBS)),$(if $(filter $(1),$(READS_$(verb))),$(verb))))
list = $(subst $(space),$(comma) ,$(strip $(1)))
said_empty = $(1) is empty: leave it out for its usual value, or give it one
said_lines = $(call shown,$(1)): a value is one line; parts of it are separated by spaces
said_switch = $(call shown,$(1)): expected 0 or 1
said_exported = $(1) is taken from the environment by `make -e`: set DCAL_$(1) instead

UNKNOWN := $(filter-out $(KNOWN),$(GIVEN))
UNREAD := $(if $(filter-out help $(VERBS),$(GOALS)),,$(filter-out $(READ) $(UNKNOWN),$(GIVEN)))
TAKEN := $(filter $(READ),$(GIVEN) $(INHERITED))
# These have a value where none is given, so an empty one is a mistake, such as a shell variable that is not set.
NEVER_EMPTY := PROFILE RUNS SEEDS EXECUTOR CORRUPT PYTHON TESTS
faults = $(foreach name,$(2),$(call q,error: $(call said_$(1),$(name))))
FAULTS := $(call faults,unknown,$(UNKNOWN)) $(call faults,prefixed,$(filter-out $(KNOWN),$(INHERITED))) \
	$(call faults,unread,$(UNREAD)) \
	$(call faults,empty,$(foreach name,$(filter $(NEVER_EMPTY),$(TAKEN)),$(if $(value $(name)),,$(name)))) \
	$(call faults,lines,$(foreach name,$(TAKEN),$(if $(findstring $(newline),$(value $(name))),$(name)))) \
	$(call faults,switch,$(foreach name,$(filter DRY AGAIN PICTURES,$(TAKEN)),$(if $(filter-out 0 1,$(value $(name))),$(name)))) \
	$(call faults,exported,$(foreach name,$(KNOWN),$(if $(findstring environment override,$(origin $(name))),$(name))))
ifneq ($(strip $(FAULTS)),)
$(shell printf '%s\n' $(FAULTS) >&2)
$(error nothing was started)
endif

INHERITED := $(filter $(READ),$(INHERITED))
ifneq ($(INHERITED),)
$(shell printf '%s\n' $(call q,from the environment:$(foreach name,$(INHERITED), $(call shown,$(name)) (DCAL_$(name)))) >&2)
endif
