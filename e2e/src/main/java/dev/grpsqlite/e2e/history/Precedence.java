package dev.grpsqlite.e2e.history;

import dev.grpsqlite.e2e.history.Violation.Anomaly;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.Deque;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;

/**
 * Which transactions must come before which in any serial order, and why. There is such an order if
 * and only if there is no cycle. One thread.
 */
final class Precedence {
  /** Why one comes before another. */
  enum Why {
    /** The later one wrote the next version. */
    OVERWRITES,
    /** The later one read what the earlier one wrote. */
    SEES,
    /** The later one wrote the version after the one that the earlier one read. */
    MISSED,
    /** The later one began after the earlier one had ended. */
    CLOCK
  }

  private record Edge(int to, Why why, long key) {}

  private final List<Transaction> transactions;
  private final List<List<Edge>> edges = new ArrayList<>();

  Precedence(List<Transaction> transactions) {
    this.transactions = transactions;
    for (int i = 0; i < transactions.size(); i++) {
      edges.add(new ArrayList<>());
    }
  }

  void add(int before, int after, Why why, long key) {
    if (before != after) {
      edges.get(before).add(new Edge(after, why, key));
    }
  }

  /**
   * Adds who ended before who began. Nodes that stand for moments save an edge for each pair: each
   * end leads to its moment, each moment to the next, and the last moment before a begin to it.
   */
  void addClocks() {
    List<Integer> byEnd = new ArrayList<>();
    for (int i = 0; i < transactions.size(); i++) {
      if (transactions.get(i).ended() != Transaction.NEVER) {
        byEnd.add(i);
      }
    }
    byEnd.sort(Comparator.comparingLong(i -> transactions.get(i).ended()));
    int first = edges.size();
    long[] moments = new long[byEnd.size()];
    for (int m = 0; m < moments.length; m++) {
      moments[m] = transactions.get(byEnd.get(m)).ended();
      edges.add(new ArrayList<>());
      edges.get(byEnd.get(m)).add(new Edge(first + m, Why.CLOCK, 0));
      if (m > 0) {
        edges.get(first + m - 1).add(new Edge(first + m, Why.CLOCK, 0));
      }
    }
    for (int i = 0; i < transactions.size(); i++) {
      int before = lastBefore(moments, transactions.get(i).begun());
      if (before >= 0) {
        edges.get(first + before).add(new Edge(i, Why.CLOCK, 0));
      }
    }
  }

  private static int lastBefore(long[] moments, long moment) {
    int at = Arrays.binarySearch(moments, moment);
    int before = at >= 0 ? at - 1 : -at - 2;
    while (before >= 0 && moments[before] == moment) {
      before--;
    }
    return before;
  }

  /** The worst cycle of each knot, named after what it takes to close it. */
  List<Violation> violations() {
    List<Violation> found = new ArrayList<>();
    collect(found, EnumSet.of(Why.OVERWRITES), Anomaly.WRITE_CYCLE);
    if (found.isEmpty()) {
      collect(found, EnumSet.of(Why.OVERWRITES, Why.SEES), Anomaly.CIRCULAR_READ);
    }
    if (found.isEmpty()) {
      collect(found, EnumSet.complementOf(EnumSet.of(Why.CLOCK)), Anomaly.WRITE_SKEW);
    }
    if (found.isEmpty()) {
      collect(found, EnumSet.allOf(Why.class), Anomaly.STALE_READ);
    }
    return found;
  }

  private void collect(List<Violation> found, Set<Why> allowed, Anomaly anomaly) {
    for (List<Integer> knot : knots(allowed)) {
      List<Edge> cycle = shortestCycle(knot, allowed);
      found.add(
          new Violation(
              anomaly == Anomaly.WRITE_SKEW ? nameOfSkew(knot, cycle, allowed) : anomaly,
              describe(cycle)));
    }
  }

  /** With one missed write it is read skew or a lost update; with more, write skew. */
  private Anomaly nameOfSkew(List<Integer> knot, List<Edge> cycle, Set<Why> allowed) {
    Set<Why> others = EnumSet.copyOf(allowed);
    others.remove(Why.MISSED);
    Set<Integer> inKnot = Set.copyOf(knot);
    Anomaly name = Anomaly.WRITE_SKEW;
    for (int from : knot) {
      for (Edge missed : edges.get(from)) {
        if (missed.why == Why.MISSED && inKnot.contains(missed.to)) {
          List<Edge> back = path(missed.to, from, others);
          if (back.size() == 1
              && back.get(0).why == Why.OVERWRITES
              && back.get(0).key == missed.key) {
            cycle.clear();
            cycle.addAll(List.of(missed, back.get(0)));
            return Anomaly.LOST_UPDATE;
          }
          if (!back.isEmpty()) {
            cycle.clear();
            cycle.add(missed);
            cycle.addAll(back);
            name = Anomaly.READ_SKEW;
          }
        }
      }
    }
    return name;
  }

  private List<Edge> shortestCycle(List<Integer> knot, Set<Why> allowed) {
    List<Edge> shortest = List.of();
    // Enough to see one; a large knot has short cycles everywhere.
    for (int from : knot.subList(0, Math.min(knot.size(), 100))) {
      List<Edge> cycle = path(from, from, allowed);
      if (shortest.isEmpty() || cycle.size() < shortest.size()) {
        shortest = cycle;
      }
    }
    return new ArrayList<>(shortest);
  }

  /** The shortest way, at least one step long; empty if there is none. */
  private List<Edge> path(int from, int to, Set<Why> allowed) {
    Edge[] reachedBy = new Edge[edges.size()];
    int[] reachedFrom = new int[edges.size()];
    Deque<Integer> queue = new ArrayDeque<>(List.of(from));
    while (!queue.isEmpty()) {
      int node = queue.remove();
      for (Edge edge : edges.get(node)) {
        if (allowed.contains(edge.why) && reachedBy[edge.to] == null) {
          reachedBy[edge.to] = edge;
          reachedFrom[edge.to] = node;
          if (edge.to == to) {
            List<Edge> path = new ArrayList<>();
            int at = to;
            do {
              path.add(reachedBy[at]);
              at = reachedFrom[at];
            } while (at != from);
            Collections.reverse(path);
            return path;
          }
          queue.add(edge.to);
        }
      }
    }
    return List.of();
  }

  private String describe(List<Edge> cycle) {
    StringBuilder text = new StringBuilder();
    for (Edge edge : cycle) {
      if (edge.to < transactions.size()) {
        text.append(" → ").append(edge.why);
        if (edge.why != Why.CLOCK) {
          text.append(" key ").append(edge.key);
        }
        text.append(" → ").append(transactions.get(edge.to));
      }
    }
    return "…" + text;
  }

  /** Strongly connected components of more than one node (Tarjan, without recursion). */
  private List<List<Integer>> knots(Set<Why> allowed) {
    int n = edges.size();
    int[] index = new int[n];
    int[] low = new int[n];
    int[] next = new int[n];
    boolean[] onStack = new boolean[n];
    int counter = 0;
    Deque<Integer> stack = new ArrayDeque<>();
    Deque<Integer> path = new ArrayDeque<>();
    List<List<Integer>> knots = new ArrayList<>();
    for (int root = 0; root < n; root++) {
      if (index[root] != 0) {
        continue;
      }
      path.push(root);
      while (!path.isEmpty()) {
        int node = path.peek();
        if (index[node] == 0) {
          index[node] = low[node] = ++counter;
          stack.push(node);
          onStack[node] = true;
        }
        boolean descended = false;
        while (next[node] < edges.get(node).size()) {
          Edge edge = edges.get(node).get(next[node]++);
          if (!allowed.contains(edge.why)) {
            continue;
          }
          if (index[edge.to] == 0) {
            path.push(edge.to);
            descended = true;
            break;
          }
          if (onStack[edge.to]) {
            low[node] = Math.min(low[node], index[edge.to]);
          }
        }
        if (descended) {
          continue;
        }
        path.pop();
        if (!path.isEmpty()) {
          low[path.peek()] = Math.min(low[path.peek()], low[node]);
        }
        if (low[node] == index[node]) {
          List<Integer> component = new ArrayList<>();
          int member;
          do {
            member = stack.pop();
            onStack[member] = false;
            component.add(member);
          } while (member != node);
          if (component.size() > 1) {
            knots.add(component);
          }
        }
      }
    }
    return knots;
  }
}
