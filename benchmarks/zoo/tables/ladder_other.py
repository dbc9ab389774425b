"""The ladder of OLMo on what no protocol looks at: two more tasks and ten more validation losses.

Every size from the third is predicted from the smaller ones, the two large runs among them. The models are those of
`ladder`, the columns are not. A figure is the mean of the last five checkpoints, for the large runs that of the last.
Read from the authors' own files, in the folder upstream/olmo-ladder of the data folder, from
https://github.com/allenai/OLMo-ladder, Apache-2.0.
"""

import pandas as pd

import scalebayes as sb
from benchmarks.runs import use_data
from benchmarks.zoo.table import Table
from benchmarks.zoo.tables.ladder import from_smaller_sizes
from scalebayes.datasets.conversion import LADDER, LADDER_RUNS

ROLE = "test"
ACCURACY = {"boolq": "boolq_val_rc_5shot_acc", "winogrande": "winogrande_val_rc_5shot_len_norm"}
ITEMS = {"boolq": 3270, "winogrande": 1267}
CHANCE = 0.5
CORPORA = (
    "dolma_books", "dolma_common-crawl", "dolma_pes2o", "dolma_reddit", "dolma_stack", "dolma_wiki", "ice",
    "m2d2_s2orc", "pile", "wikitext_103",
)  # fmt: skip
N_CHECKPOINT = 5


def table() -> Table:
    folder = use_data("upstream") / "olmo-ladder" / LADDER
    scores, losses = [], []
    for file, (run, role, _) in LADDER_RUNS.items():
        rows = pd.read_csv(folder / f"{file}.csv")
        last = rows.tail(N_CHECKPOINT if role == "ladder" else 1).mean(numeric_only=True)
        for task, column in ACCURACY.items():
            scores.append((run.lower(), task, last[f"eval/downstream/{column}"], ITEMS[task]))
            loss = last[f"eval/downstream_bpb/{task}_val_rc_5shot_bpb"]
            losses.append((run.lower(), task, loss, "bits/byte"))
        for corpus in CORPORA:
            loss = last[f"eval/{corpus}-validation/CrossEntropyLoss"]
            losses.append((run.lower(), corpus, loss, "nats/token"))
    of_scores = pd.DataFrame(scores, columns=["model", "benchmark", "score", "n_items"])
    observations = sb.Observations(
        sb.datasets.olmo_ladder().models,
        of_scores.assign(chance=CHANCE),
        pd.DataFrame(losses, columns=["model", "domain", "loss", "unit"]),
    )
    laws = {"Ladder, task loss": sb.Ladder(), "Ladder, pile loss": sb.Ladder(feature="pile")}
    return Table(observations, from_smaller_sizes(observations), laws)


TABLES = {"ladder_other": table}
