package dev.grpsqlite.bench;

import dev.grpsqlite.bench.report.Figure;
import dev.grpsqlite.bench.workload.Sizes;
import java.nio.file.Path;
import java.util.List;

/** Single figures that are measured by themselves, without anything beside them. */
interface Benchmark {
  /** What to call it on the command line. */
  String name();

  /** What a reader of its figures must know to judge them; empty if they speak for themselves. */
  default String note() {
    return "";
  }

  /**
   * Measures.
   *
   * @param folder an empty one, on the disk that is measured; removed afterwards
   */
  List<Figure> run(Path folder, Sizes sizes) throws Exception;
}
