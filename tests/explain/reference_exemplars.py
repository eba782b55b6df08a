"""Wu et al.'s ranking read literally, image by image and coordinate by coordinate."""

import sys

import reference_folder

(numpy,) = reference_folder.require("numpy")


def ranking(styles, exemplars, count):
    """Rows (coordinate, direction, relevance), the most relevant first."""
    rows = []
    for s in range(styles.shape[1]):
        column = styles[:, s]
        mean, deviation = numpy.mean(column), numpy.std(column)
        differences = [(column[n] - mean) / deviation for n in exemplars]
        rows.append(
            (
                s,
                1 if numpy.mean(differences) > 0 else 0,
                abs(numpy.mean(differences)) / numpy.std(differences),
            )
        )
    rows.sort(key=lambda row: -row[2])
    return numpy.array(rows[:count], dtype=float)


def main():
    data = reference_folder.load(sys.argv[1])
    styles, logits = data["styles"], data["logits"]
    exponentials = numpy.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    comparison = reference_folder.Comparison(tolerance=1e-5)
    for target in range(3):
        exemplars = [n for n in range(len(styles)) if probabilities[n, target] > 0.9]
        comparison.check(
            f"above_{target}", data[f"above_{target}"], ranking(styles, exemplars, 10)
        )
    surest = sorted(range(len(styles)), key=lambda n: -probabilities[n, 1])[: len(styles) // 50]
    comparison.check("top_1", data["top_1"], ranking(styles, surest, 100))
    comparison.finish()


main()
