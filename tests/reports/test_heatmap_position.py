"""A planted patch is found where it was planted: in the drawn overlay, the outline and the figure itself."""

import cv2
import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg

import benchmark.data.mini.backbones  # noqa: F401 - registers them with timm
import dcal
from benchmark.data.images import TestPictures
from benchmark.data.loader import normalise
from benchmark.data.transforms import ViewSettings
from reports.heatmaps import attention_maps, figure, overlay
from reports.heatmaps.attention_maps import GLCA, SA, SELECTED
from reports.heatmaps.networks import Network

PLAIN, HYBRID = "mini_deit_tiny_patch8_48.generic", "mini_vit_base_r50_s8_48.generic"
CASES = {"square": (PLAIN, (64, 64)), "256×128": (PLAIN, (256, 128)), "hybrid": (HYBRID, (64, 48))}


class Darkness(torch.nn.Module):
    """A hybrid's stem that looks at each cell's mean alone: (B, 3, h, w) to (B, 128, h/8, w/8)."""

    def forward(self, x):
        return torch.nn.functional.avg_pool2d(x, 8).mean(dim=1, keepdim=True).expand(-1, 128, -1, -1)


def drawn_to_the_dark(tag, size):
    """A DCAL model whose keys grow with a patch's darkness, every query asking for it, and nothing else."""
    cells = size[0] * size[1] // 64
    glca = dcal.GLCASettings(ratio=1.01 / cells)  # one patch is selected
    model = dcal.build(tag, 3, image_size=size, weights="random", glca=glca).eval()
    vit = model.backbone.vit
    if tag == HYBRID:
        vit.patch_embed.backbone = Darkness()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        vit.patch_embed.proj.weight[0] = 1 / vit.patch_embed.proj.weight[0].numel()
        vit.patch_embed.proj.bias[1] = 1.0  # something for the normalisation to compare with
        for block in [*vit.blocks, *model.glca.blocks]:
            block.norm1.weight.fill_(1.0)
            d, width = block.attn.head_dim, block.attn.attn_dim
            for head in range(block.attn.num_heads):
                block.attn.qkv.bias[head * d] = 3.0
                block.attn.qkv.weight[width + head * d, 0] = -3.0
    pictures = TestPictures(ViewSettings(resize=size, crop=size, test_crop="whole"))
    return Network(model, pictures, normalise(model, torch.device("cpu"), "half"), "planted", "0" * 64)


def planted(size, row, column):
    """Grey, with one black patch: over it the grey of the overlay is darkest, so only attention can brighten it."""
    picture = np.full((*size, 3), 90, np.uint8)
    picture[row * 8 : row * 8 + 8, column * 8 : column * 8 + 8] = 0
    return picture


def brightest(image, size):
    """Row and column of the brightest pixel, in pixels of the picture."""
    light = image.astype(float).sum(axis=2)
    row, column = np.unravel_index(light.argmax(), light.shape)
    return row * size[0] / light.shape[0], column * size[1] / light.shape[1]


@pytest.mark.parametrize(("tag", "size"), CASES.values(), ids=CASES)
def test_the_drawn_map_is_brightest_on_the_planted_patch_wherever_it_is(tag, size):
    network = drawn_to_the_dark(tag, size)
    rows, columns = network.model.backbone.grid
    assert (rows, columns) == (size[0] // 8, size[1] // 8)
    places = [(r, c) for r in {0, 1, rows // 2, rows - 1} for c in {0, 1, columns // 2, columns - 1}]
    pictures = [planted(size, *place) for place in places]
    maps, _ = attention_maps.attention_maps(network, pictures, None, has_classes=False)
    for (row, column), picture, attention in zip(places, pictures, maps, strict=True):
        heads, panels, _ = attention_maps.panels(picture, None, attention, {})
        panel = dict(zip(heads, panels, strict=True))
        for head in (SA, GLCA):
            image = overlay.overlay(picture, panel[head].values, panel[head].scale)
            y, x = brightest(image, size)
            assert (int(y // 8), int(x // 8)) == (row, column), head
        assert np.argwhere(panel[SELECTED].selected).tolist() == [[row, column]]
        corners = {point for edge in overlay.outlines(panel[SELECTED].selected, size) for point in edge}
        left, top = column * 8, row * 8
        assert corners == {(left, top), (left + 8, top), (left, top + 8), (left + 8, top + 8)}


@pytest.mark.parametrize(("tag", "size"), CASES.values(), ids=CASES)
def test_the_figure_shows_the_map_over_the_whole_picture_the_right_way_up(tag, size, tmp_path):
    network, place = drawn_to_the_dark(tag, size), (1, size[1] // 8 - 2)
    path = tmp_path / "planted.png"
    cv2.imwrite(str(path), planted(size, *place))
    picture = network.pictures(path)
    (attention,), layers = attention_maps.attention_maps(network, [picture], None, has_classes=False)
    heads, panels, _ = attention_maps.panels(picture, None, attention, {})
    text = attention_maps.caption(attention.rollout.size, layers, compared=False, selection="rollout")
    result = figure.draw("planted", heads, [figure.FigureRow("A", "", panels)], text, "× 1/N")
    canvas = FigureCanvasAgg(result)
    canvas.draw()
    buffer = np.asarray(canvas.buffer_rgba())[..., :3]
    axes = [axes for axes in result.axes if axes.images and axes.get_xlim() == (0, size[1])]
    assert len(axes) == 4  # picture, rollout, GLCA, selected

    def drawn(at):
        box = axes[at].get_window_extent()
        top, left = round(buffer.shape[0] - box.y1), round(box.x0)
        return buffer[top + 1 : top + round(box.height) - 1, left + 1 : left + round(box.width) - 1].astype(
            int
        )

    for at in (1, 2):
        y, x = brightest(drawn(at), size)
        assert (int(y // 8), int(x // 8)) == place
    # Around the selected patch a yellow line, in it the planted black, elsewhere the darkened grey.
    selected = drawn(3)
    yellow = np.argwhere((selected[..., 0] > 180) & (selected[..., 2] < 90))
    pixels = selected.shape[0] / size[0]
    middle = yellow.mean(axis=0) / pixels
    assert (int(middle[0] // 8), int(middle[1] // 8)) == place
    y, x = (int((cell * 8 + 4) * pixels) for cell in place)
    assert selected[y, x].max() < 10
    assert selected[-y, x].min() > 20


def test_a_hybrids_tokens_lie_where_their_patches_lie():
    """Of the real stem, whose strides and padding could shift them: what a patch changes most is its own token."""
    from benchmark.config.places import MINI_WEIGHTS

    size = (64, 48)
    model = dcal.build(HYBRID, 3, image_size=size, weights=MINI_WEIGHTS).eval()
    prepare = normalise(model, torch.device("cpu"))
    random = np.random.default_rng(0)
    blank = np.full((*size, 3), 128, np.uint8)
    places = [(r, c) for r in range(8) for c in range(6)]
    changed = torch.zeros(len(places), len(places))
    for _ in range(8):
        texture, pictures = random.integers(0, 256, (*size, 3), dtype=np.uint8), [blank]
        for row, column in places:
            at = np.s_[row * 8 : row * 8 + 8, column * 8 : column * 8 + 8]
            pictures.append(blank.copy())
            pictures[-1][at] = texture[at]
        with torch.no_grad():
            tokens = model.backbone.embed(prepare(torch.from_numpy(np.stack(pictures))))[:, 1:]
        changed += (tokens[1:] - tokens[:1]).norm(dim=2)
    assert [divmod(int(token), 6) for token in changed.argmax(dim=1)] == places
