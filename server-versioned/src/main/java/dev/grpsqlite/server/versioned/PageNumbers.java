package dev.grpsqlite.server.versioned;

import java.util.Arrays;

/** A growing list of page numbers. */
final class PageNumbers {
  private long[] numbers = new long[16];
  private int count;

  void add(long number) {
    if (count == numbers.length) {
      numbers = Arrays.copyOf(numbers, 2 * count);
    }
    numbers[count++] = number;
  }

  int size() {
    return count;
  }

  /** Ascending, each once. */
  long[] distinct() {
    Arrays.sort(numbers, 0, count);
    int unique = 0;
    for (int i = 0; i < count; i++) {
      if (i == 0 || numbers[i] != numbers[i - 1]) {
        numbers[unique++] = numbers[i];
      }
    }
    return Arrays.copyOf(numbers, unique);
  }
}
