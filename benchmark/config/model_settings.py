"""The settings of the method: what a profile file calls ``model.…``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields

from dcal.settings import (
    GLCASettings,
    Init,
    Keys,
    Pairing,
    PWCASettings,
    Readout,
    Regulariser,
    Selection,
    Stream,
)

_KEY = "setting"


@dataclass(frozen=True)
class OpenReading:
    """A point on which the paper is silent or can be read in two ways.

    question: in one sentence. options: the possible values and what they do, the default first.
    """

    question: str
    options: str


@dataclass(frozen=True, kw_only=True)
class SettingInfo:
    """The description of one setting: the only place of these facts.

    explanation: what it is, in a phrase. task: ``fgvc`` or ``reid``, the only task that has it; "" for both.
    reading: the point of the paper that it decides; None where the paper is clear, or the setting is none of the
        method's recipe. Only with such settings changed do numbers stay comparable with the paper's.
    since: version of the numbers (``NUMBERS_VERSION``) of which records existed before the setting did; None for a
        setting that all records have. former: what those runs did, as a value of the setting.
    """

    explanation: str
    task: str = ""
    reading: OpenReading | None = None
    since: int | None = None
    former: object = None


def description(
    explanation: str,
    *,
    task: str = "",
    reading: OpenReading | None = None,
    since: int | None = None,
    former: object = None,
) -> Mapping[str, SettingInfo]:
    """The metadata of a setting's field. Arguments: as in ``SettingInfo``."""
    return {
        _KEY: SettingInfo(explanation=explanation, task=task, reading=reading, since=since, former=former)
    }


def setting_text(value: object) -> str:
    """A setting's value as SET takes it: ``550,550``, ``true``, ``0.1``."""
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def descriptions(section: type) -> Iterator[tuple[str, SettingInfo]]:
    """Name and description of every setting of a section, a dataclass."""
    for entry in fields(section):
        yield entry.name, entry.metadata[_KEY]


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """The method's options (dcal/README.md); those of a cross-attention have no meaning for the baseline."""

    drop_path: float = field(metadata=description("rate of stochastic depth"))
    glca_blocks: int = field(
        metadata=description(
            "M, number of GLCA blocks; 0 switches GLCA off",
            reading=OpenReading(
                "How many GLCA blocks (M), and where?",
                "1, beside the last block, complete: LN, attention, FFN, residuals; n: beside the last n, each with K "
                "and V from SA at its own depth and Q from the block before",
            ),
        )
    )
    glca_ratio: float = field(
        metadata=description(
            "R, share of the patch tokens that become local queries",
            reading=OpenReading(
                "Which share R of the patch tokens become local queries? The class token is always one and is not "
                "counted.",
                "0.1 (fine-grained) and 0.3 (re-identification) as in the paper; any share in (0, 1]",
            ),
        )
    )
    glca_init: Init = field(
        metadata=description(
            "first weights of GLCA",
            reading=OpenReading(
                "From which weights does GLCA start?",
                "copy of the SA block beside it; random, which cannot catch up at the paper's learning rate",
            ),
        )
    )
    glca_readout: Readout = field(
        metadata=description(
            "feature of GLCA",
            reading=OpenReading(
                "What is GLCA's feature?",
                "cls, its class token, with which the selection of local queries cannot change any prediction; mean of "
                "the selected tokens, with which it does",
            ),
        )
    )
    glca_select: Selection = field(
        metadata=description(
            "rule that selects the local queries",
            reading=OpenReading(
                "Which tokens become local queries?",
                "rollout, the highest accumulated attention (Eq. 2); random and attention, that of the class token in "
                "the penultimate block: the paper's ablations",
            ),
        )
    )
    glca_keys: Keys = field(
        metadata=description(
            "keys and values of the local queries",
            since=1,
            former="global",
            reading=OpenReading(
                "What do local queries attend to?",
                "global, all tokens (Eq. 3); local, the selected tokens alone, the paper's ablation “local "
                "self-attention”",
            ),
        )
    )
    pwca_blocks: int = field(
        metadata=description(
            "T, number of PWCA blocks; 0 switches PWCA off",
            reading=OpenReading(
                "In how many blocks (T) do pairs attend to each other?",
                "12; fewer: the last T blocks are pair-wise, those before plain self-attention",
            ),
        )
    )
    pwca_stream: Stream = field(
        metadata=description(
            "tokens that PWCA carries from block to block",
            reading=OpenReading(
                "What does PWCA's stream carry from block to block?",
                "own, a stream of image 1 whose distractor comes from the partner's SA stream at the same depth; "
                "figure, the overview figure taken literally, which with T = 12 is almost self-attention again",
            ),
        )
    )
    pwca_pairing: Pairing = field(
        metadata=description(
            "source of each image's partner",
            reading=OpenReading(
                "Where does an image's partner come from?",
                "batch, a random derangement of the batch; loader, a second batch shuffled on its own; by class: same, "
                "other, half of each; by feature distance: hardest, mixed",
            ),
        )
    )
    pwca_regulariser: Regulariser = field(
        metadata=description(
            "second stream in training: PWCA, or noise in its place",
            since=1,
            former="pwca",
            reading=OpenReading(
                "What is the second stream in training?",
                "pwca; in its place image_noise, label_noise or kv_noise, the paper's comparison",
            ),
        )
    )
    pwca_noise: float = field(
        metadata=description(
            "strength of a regulariser's noise in PWCA's place",
            since=1,
            former=0.1,
            reading=OpenReading(
                "How strong is the noise of a regulariser in PWCA's place? The paper gives no strength.",
                "0.1 of the normalised pixels' standard deviation, or of the labels; any share in (0, 1]. Without "
                "meaning for pwca itself",
            ),
        )
    )
    w_init: float = field(
        metadata=description(
            "start value of the uncertainty weights w",
            reading=OpenReading(
                "At which value do the uncertainty weights w start?",
                "0; the paper gives none, FairMOT starts at −1.85 and −1.05",
            ),
        )
    )

    def glca(self) -> GLCASettings | None:
        """The method's own form of the GLCA settings; None where glca_blocks = 0 switches it off."""
        if self.glca_blocks == 0:
            return None
        return GLCASettings(
            blocks=self.glca_blocks,
            ratio=self.glca_ratio,
            init=self.glca_init,
            readout=self.glca_readout,
            select=self.glca_select,
            keys=self.glca_keys,
        )

    def pwca(self) -> PWCASettings | None:
        """The method's own form of the PWCA settings; None where pwca_blocks = 0 switches it off."""
        if self.pwca_blocks == 0:
            return None
        return PWCASettings(
            blocks=self.pwca_blocks,
            stream=self.pwca_stream,
            pairing=self.pwca_pairing,
            regulariser=self.pwca_regulariser,
            noise=self.pwca_noise,
        )
