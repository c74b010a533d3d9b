package dev.grpsqlite.bench.workload;

import dev.grpsqlite.bench.report.Bar;
import dev.grpsqlite.bench.report.Comparison.Row;
import dev.grpsqlite.bench.report.Figure;
import dev.grpsqlite.bench.report.Series;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/** The rounds of a workload: every place has as many samples. Immutable. */
public final class Measured {
  private final Map<String, List<Sample>> samples;
  private final Map<String, Double> first;

  /**
   * @param first seconds per operation of each place's very first turn, which counts for nothing
   */
  Measured(Map<String, List<Sample>> samples, Map<String, Double> first) {
    this.samples = samples;
    this.first = first;
  }

  private List<Sample> of(String place) {
    @Nullable List<Sample> found = samples.get(place);
    if (found == null) {
      throw new IllegalArgumentException(place + " was not measured, but " + samples.keySet());
    }
    return found;
  }

  Series seconds(String place) {
    return new Series(of(place).stream().map(Sample::seconds).toList());
  }

  Series count(String place, String what) {
    return new Series(
        of(place).stream()
            .map(
                sample -> {
                  @Nullable Double value = sample.counts().get(what);
                  if (value == null) {
                    throw new IllegalArgumentException(place + " does not count " + what);
                  }
                  return value;
                })
            .toList());
  }

  /** Time of one place to that of another, round by round. */
  Figure ratio(String what, String place, String reference, Bar bar) {
    return Figure.ratio(what, seconds(place).to(seconds(reference)), bar);
  }

  /** The rows of the table. */
  List<Row> rows() {
    List<Row> rows = new ArrayList<>();
    for (String place : samples.keySet()) {
      Map<String, Double> counts = new LinkedHashMap<>();
      Set<String> names = new TreeSet<>();
      of(place).forEach(sample -> names.addAll(sample.counts().keySet()));
      names.forEach(each -> counts.put(each, count(place, each).median()));
      rows.add(new Row(place, seconds(place), Objects.requireNonNull(first.get(place)), counts));
    }
    return rows;
  }
}
