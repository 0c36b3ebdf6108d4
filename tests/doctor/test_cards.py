"""Cards we do not have, in the words of their makers' tools.

Names, versions and layout are those of real machines, as people showed them in public reports; what says
nothing here (processes, temperatures) is left out.
"""

import pytest

from kefu.doctor.builds import advice_for
from kefu.doctor.cards import AmdCard, NvidiaCard, find_cards, read_nvidia_smi, read_rocminfo

GIB = 1024**3
MIB = 1024**2


def table(driver: str, cuda: str, label: str = "CUDA Version") -> str:
    head = f"| NVIDIA-SMI {driver:<20}  Driver Version: {driver:<14} {label}: {cuda:<8} |"
    return f"Wed Jan 24 15:18:40 2024\n+{'-' * 89}+\n{head}\n|{'-' * 41}+{'-' * 24}+{'-' * 22}+\n"


ROCMINFO = """\
ROCk module is loaded
=====================
HSA System Attributes
=====================
Runtime Version:         1.15
==========
HSA Agents
==========
*******
Agent 1
*******
  Name:                    AMD Ryzen 7 7800X3D 8-Core Processor
  Uuid:                    CPU-XX
  Marketing Name:          AMD Ryzen 7 7800X3D 8-Core Processor
  Vendor Name:             CPU
  Device Type:             CPU
  Pool Info:
    Pool 1
      Segment:                 GLOBAL; FLAGS: FINE GRAINED
  ISA Info:
*******
Agent 2
*******
  Name:                    gfx1100
  Uuid:                    GPU-e56b237e725ec427
  Marketing Name:          AMD Radeon RX 7900 GRE
  Vendor Name:             AMD
  Device Type:             GPU
  ISA Info:
    ISA 1
      Name:                    amdgcn-amd-amdhsa--gfx1100
      Machine Models:          HSA_MACHINE_MODEL_LARGE
*******
Agent 3
*******
  Name:                    gfx90c
  Marketing Name:          AMD Radeon Graphics
  Vendor Name:             AMD
  Device Type:             GPU
*** Done ***
"""


def test_two_cards_of_one_machine():
    rows = (
        "NVIDIA GeForce RTX 5090, 580.82.09, 32607, 32120, 12.0\n"
        "NVIDIA GeForce RTX 4090, 580.82.09, 24564, 24081, 8.9\n"
    )
    cards = read_nvidia_smi(rows, table("580.82.09", "13.0"))
    assert [card.name for card in cards] == ["NVIDIA GeForce RTX 5090", "NVIDIA GeForce RTX 4090"]
    assert cards[1] == NvidiaCard(
        "NVIDIA GeForce RTX 4090", "580.82.09", (13, 0), (8, 9), 24564 * MIB, 24081 * MIB
    )


@pytest.mark.parametrize(("said", "cuda"), [("12.4", (12, 4)), ("N/A", None), ("", None)])
def test_a_driver_says_which_cuda_it_runs(said, cuda):
    (card,) = read_nvidia_smi(
        "Quadro RTX 4000, 535.129.03, 8192, 8190, 7.5", table("535.129.03", said)
    )
    assert card.cuda == cuda
    (card,) = read_nvidia_smi("A, 600.1, 1, 1, 7.5", table("600.1", "13.4", "CUDA UMD Version"))
    assert card.cuda == (13, 4)


def test_an_old_driver_does_not_tell_the_compute_capability():
    (card,) = read_nvidia_smi(
        "Tesla V100-SXM2-16GB, 470.182.03, 16160, 16000", table("470.182.03", "11.4")
    )
    assert card.compute is None
    assert "update it to one that runs 12.8" in advice_for(card).why


def test_what_cannot_be_read_is_no_card():
    assert read_nvidia_smi("No devices were found", "") == []
    assert read_nvidia_smi("", "") == []
    (card,) = read_nvidia_smi(
        "NVIDIA GB10, 580.95.05, [N/A], [N/A], 12.1", table("580.95.05", "13.0")
    )
    assert card.total_bytes == 0  # shares the machine's memory


def test_rocminfo_names_processors_too():
    assert read_rocminfo(ROCMINFO, (6, 4, 1)) == [
        AmdCard("AMD Radeon RX 7900 GRE", "gfx1100", (6, 4, 1)),
        AmdCard("AMD Radeon Graphics", "gfx90c", (6, 4, 1)),
    ]
    assert read_rocminfo("ROCk module is NOT loaded, possibly no GPU devices", None) == []


def nvidia(cuda, compute):
    return NvidiaCard("card", "999", cuda, compute, 8 * GIB, 8 * GIB)


@pytest.mark.parametrize(
    ("cuda", "compute", "build"),
    [
        ((13, 2), (12, 0), "cu132"),
        ((13, 2), (9, 0), "cu132"),  # an H100 by way of portable code
        ((13, 0), (9, 0), "cu128"),  # its driver cannot compile the newer portable code
        ((13, 0), (8, 9), "cu132"),  # machine code runs with any driver of the generation
        ((13, 2), (6, 1), "cu128"),  # CUDA 13 left Pascal out
        ((12, 4), (8, 6), "cu128"),
        ((12, 4), (8, 0), ""),
        ((12, 8), (8, 0), "cu128"),
        ((11, 8), (8, 6), ""),
        ((12, 8), (3, 5), "vulkan"),
        (None, (8, 6), ""),
    ],
)
def test_the_build_that_a_card_and_its_driver_run(cuda, compute, build):
    advice = advice_for(nvidia(cuda, compute), glibc=(2, 36))
    assert advice.build == build
    assert bool(advice.why) == (build in ("", "vulkan"))


@pytest.mark.parametrize(
    ("target", "rocm", "build"),
    [
        ("gfx1100", (6, 4, 1), "rocm-6.4.1"),
        ("gfx1100", (7, 1, 0), "rocm-7.2.4"),
        ("gfx1201", (6, 4, 1), "vulkan"),
        ("gfx1201", (7, 2), "rocm-7.2.4"),
        ("gfx90c", (7, 2), "vulkan"),
        ("gfx1100", None, "vulkan"),
        ("gfx1100", (5, 7), "vulkan"),
    ],
)
def test_the_build_for_a_card_of_amd(target, rocm, build):
    assert advice_for(AmdCard("card", target, rocm), glibc=(2, 36)).build == build


def test_an_old_system_runs_none_of_the_builds():
    advice = advice_for(nvidia((13, 2), (8, 6)), glibc=(2, 31))
    assert advice.build == ""
    assert "glibc 2.35" in advice.why
    assert "2.31" in advice.why


def test_the_command_names_version_and_index():
    command = advice_for(nvidia((12, 8), (8, 6)), glibc=(2, 36)).command
    assert "--force-reinstall --no-deps xllamacpp==" in command
    assert command.endswith("/whl/cu128")


def test_tools_are_asked_as_they_are(tmp_path, monkeypatch):
    """An nvidia-smi that does not know `compute_cap`, as drivers before 510."""
    script = tmp_path / "nvidia-smi"
    script.write_text(
        "#!/bin/sh\n"
        'case "$1" in\n'
        '*compute_cap*) echo "Field \\"compute_cap\\" is not a valid field to query."; exit 2;;\n'
        '--query*) echo "Tesla T4, 470.182.03, 15109, 15000";;\n'
        '"") echo "| NVIDIA-SMI 470.182.03   Driver Version: 470.182.03   CUDA Version: 11.4     |";;\n'
        "esac\n"
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    (card,) = find_cards()
    assert (card.name, card.cuda, card.compute) == ("Tesla T4", (11, 4), None)
    script.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed' >&2\nexit 9\n")
    assert find_cards() == []
