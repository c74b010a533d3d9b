package dev.grpsqlite.e2e.history;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * All that clients recorded: {@code workload.py} says how. A transaction that has a beginning and
 * no end is one whose client was killed: its outcome is unknown, and it may take effect until the
 * end.
 *
 * @param transactions of all clients
 * @param marks by workload, the ids that the final reader found, in the order of their commits
 */
public record History(List<Transaction> transactions, Map<String, List<String>> marks) {
  public History {
    transactions = List.copyOf(transactions);
    marks = Map.copyOf(marks);
  }

  /** Reads the files of all clients. A last line that a kill cut off is left out. */
  public static History read(List<Path> files) throws IOException {
    Map<String, Transaction> transactions = new LinkedHashMap<>();
    Map<String, List<String>> marks = new TreeMap<>();
    for (Path file : files) {
      String text = Files.readString(file);
      for (String line : text.substring(0, text.lastIndexOf('\n') + 1).lines().toList()) {
        String[] fields = line.split("\t", -1);
        switch (fields[0]) {
          case "begin" ->
              transactions.put(
                  fields[1],
                  new Transaction(
                      fields[1],
                      fields[2],
                      Outcome.UNKNOWN,
                      Long.parseLong(fields[3]),
                      Transaction.NEVER,
                      steps(fields[4]).stream().filter(Step::writes).toList(),
                      0));
          case "end" -> {
            Transaction begun = transactions.get(fields[1]);
            if (begun == null) {
              throw new IOException(file + " ends what did not begin: " + line);
            }
            transactions.put(fields[1], ended(begun, fields));
          }
          case "mark" -> marks.computeIfAbsent(fields[1], w -> new ArrayList<>()).add(fields[2]);
          default -> throw new IOException(file + " has a line of no kind: " + line);
        }
      }
    }
    return new History(new ArrayList<>(transactions.values()), marks);
  }

  private static Transaction ended(Transaction begun, String[] fields) {
    Outcome outcome = Outcome.valueOf(fields[2]);
    return new Transaction(
        begun.id(),
        begun.workload(),
        outcome,
        begun.begun(),
        outcome == Outcome.UNKNOWN ? Transaction.NEVER : Long.parseLong(fields[3]),
        steps(fields[5]),
        Integer.parseInt(fields[4]));
  }

  private static List<Step> steps(String text) {
    return text.isEmpty()
        ? List.of()
        : Arrays.stream(text.split(" ", -1)).map(Step::parse).toList();
  }

  /** Those of one workload. */
  public List<Transaction> of(String workload) {
    return transactions.stream().filter(t -> t.workload().equals(workload)).toList();
  }

  /** How often each id was found as a mark in a workload's database. */
  Map<String, Integer> marksOf(String workload) {
    Map<String, Integer> found = new HashMap<>();
    marks.getOrDefault(workload, List.of()).forEach(id -> found.merge(id, 1, Integer::sum));
    return found;
  }
}
