package dev.grpsqlite.bench.report;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import dev.grpsqlite.bench.profile.Profile;
import dev.grpsqlite.bench.report.Comparison.Row;
import dev.grpsqlite.bench.report.Figure.Verdict;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * A run in one folder: {@code report.md}, a plot for each comparison, {@code report.json} with
 * every number that was measured. One thread at a time.
 */
public final class Report {
  /** Single figures that belong together. */
  private record Group(String name, String note, List<Figure> figures) {}

  private static final double LEAST_SHOWN = 0.01;
  private final String conditions;
  private final List<Comparison> comparisons = new ArrayList<>();
  private final List<Group> groups = new ArrayList<>();
  private final List<String> failures = new ArrayList<>();

  /**
   * A report without anything in it.
   *
   * @param conditions the machine and the sizes
   */
  public Report(String conditions) {
    this.conditions = conditions;
  }

  public void add(Comparison comparison) {
    comparisons.add(comparison);
  }

  /** Single figures; the note may be empty. */
  public void add(String name, String note, List<Figure> figures) {
    groups.add(new Group(name, note, List.copyOf(figures)));
  }

  /** Something that was to be measured and could not be run to its end. */
  public void addFailure(String name, String why) {
    failures.add(name + ": " + why);
  }

  /** Whether something could not be run to its end. */
  public boolean hasFailures() {
    return !failures.isEmpty();
  }

  /** Of all figures with this verdict. */
  public List<Figure> figures(Verdict verdict) {
    List<Figure> found = new ArrayList<>();
    comparisons.forEach(each -> found.addAll(each.figures()));
    groups.forEach(each -> found.addAll(each.figures()));
    found.removeIf(each -> each.verdict() != verdict);
    return found;
  }

  /** Writes all that was added. */
  public void write(Path folder) throws IOException {
    Files.writeString(folder.resolve("report.md"), markdown());
    Files.writeString(folder.resolve("report.json"), json());
    for (Comparison each : comparisons) {
      Files.writeString(folder.resolve(each.name() + ".svg"), Plot.svg(each));
    }
  }

  /** The bars and what came of them, in a few lines. */
  public String summary() {
    List<Figure> missed = figures(Verdict.MISSED);
    StringBuilder text = new StringBuilder();
    text.append(
        String.format(
            "%d bars met, %d missed, %d not measured.%n",
            figures(Verdict.MET).size(), missed.size(), figures(Verdict.NOT_MEASURED).size()));
    for (String each : failures) {
      text.append("Not run to its end: ").append(each).append('\n');
    }
    for (Figure each : missed) {
      text.append(
          String.format(
              "- missed: %s: %s (bar %s)%n",
              each.what(),
              (Text.number(each.median()) + " " + each.unit()).strip(),
              each.bar().text(each.unit())));
    }
    return text.toString();
  }

  String markdown() {
    StringBuilder text = new StringBuilder("# Benchmarks\n\n");
    text.append(summary()).append('\n').append(conditions).append("\n## Bars\n\n");
    List<Figure> judged = new ArrayList<>(figures(Verdict.MET));
    judged.addAll(figures(Verdict.MISSED));
    judged.addAll(figures(Verdict.NOT_MEASURED));
    table(text, judged);
    for (Comparison each : comparisons) {
      text.append("\n## ").append(each.name()).append("\n\n").append(each.about()).append("\n\n");
      text.append(each.rows().get(0).seconds().values().size()).append(" rounds.\n\n");
      rows(text, each.rows());
      text.append("\n![").append(each.name()).append("](").append(each.name()).append(".svg)\n");
      if (!each.figures().isEmpty()) {
        text.append('\n');
        table(text, each.figures());
      }
      each.profiles().forEach(profile -> profile(text, profile));
    }
    for (Group each : groups) {
      text.append("\n## ").append(each.name()).append("\n\n");
      if (!each.note().isEmpty()) {
        text.append(each.note()).append("\n\n");
      }
      table(text, each.figures());
    }
    return text.toString();
  }

  private static void table(StringBuilder text, List<Figure> figures) {
    text.append(Figure.HEADING).append('\n');
    figures.forEach(each -> text.append(each.row()).append('\n'));
  }

  /** CPU as parts of the time that passed: 200 % is all that two cores have. */
  private static void profile(StringBuilder text, Profile profile) {
    text.append("\n### Where the time goes, ").append(profile.place()).append("\n\n");
    cpu(text, "the client, with SQLite and the extension", profile.client(), profile.seconds());
    cpu(text, "the server", profile.server(), profile.seconds());
    parts(text.append("- methods of the server's Java threads:"), profile.methods(), 1);
  }

  private static void cpu(
      StringBuilder text, String who, Map<String, Double> threads, double seconds) {
    text.append("- CPU of ").append(who).append(": ");
    text.append(Text.percent(Profile.sum(threads) / seconds)).append(" of the time;");
    parts(text, threads, seconds);
  }

  private static void parts(StringBuilder text, Map<String, Double> parts, double whole) {
    String separator = " ";
    for (Map.Entry<String, Double> each : parts.entrySet()) {
      if (each.getValue() >= LEAST_SHOWN * whole) {
        text.append(separator).append(each.getKey()).append(' ');
        text.append(Text.percent(each.getValue() / whole));
        separator = ", ";
      }
    }
    text.append('\n');
  }

  private static void rows(StringBuilder text, List<Row> rows) {
    Set<String> counts = new LinkedHashSet<>();
    rows.forEach(row -> counts.addAll(row.counts().keySet()));
    Series reference = rows.get(0).seconds();
    text.append("| place | time | spread | the first | to ")
        .append(rows.get(0).place())
        .append(" |");
    counts.forEach(each -> text.append(' ').append(each).append(" |"));
    text.append("\n|---|---|---|---|---|").append("---|".repeat(counts.size())).append('\n');
    for (Row row : rows) {
      text.append(
          String.format(
              "| %s | %s | %s | %s | %s |",
              row.place(),
              Text.seconds(row.seconds().median()),
              Text.percent(row.seconds().spread()),
              Text.seconds(row.first()),
              Text.number(row.seconds().to(reference).median())));
      for (String each : counts) {
        @Nullable Double value = row.counts().get(each);
        text.append(' ').append(value == null ? "" : Text.number(value)).append(" |");
      }
      text.append('\n');
    }
  }

  private String json() {
    Gson gson = new GsonBuilder().setPrettyPrinting().disableHtmlEscaping().create();
    Map<String, Object> all = new LinkedHashMap<>();
    all.put("conditions", conditions);
    all.put("failures", failures);
    all.put("comparisons", comparisons.stream().map(Report::json).toList());
    all.put(
        "figures",
        groups.stream()
            .collect(
                Collectors.toMap(
                    Group::name,
                    group -> group.figures().stream().map(Report::json).toList(),
                    (a, b) -> a,
                    LinkedHashMap::new)));
    return gson.toJson(all) + "\n";
  }

  private static Map<String, Object> json(Comparison comparison) {
    Map<String, Object> all = new LinkedHashMap<>();
    all.put("name", comparison.name());
    all.put(
        "places",
        comparison.rows().stream()
            .map(
                row ->
                    Map.of(
                        "place",
                        row.place(),
                        "seconds",
                        row.seconds().values(),
                        "first",
                        row.first(),
                        "counts",
                        row.counts()))
            .toList());
    all.put("figures", comparison.figures().stream().map(Report::json).toList());
    all.put("profiles", comparison.profiles());
    return all;
  }

  private static Map<String, Object> json(Figure figure) {
    Map<String, Object> all = new LinkedHashMap<>();
    all.put("what", figure.what());
    all.put("unit", figure.unit());
    all.put("values", figure.values());
    if (figure.bar().relation() != Bar.Relation.NONE) {
      all.put("bar", figure.bar());
    }
    all.put("verdict", figure.verdict());
    return all;
  }
}
