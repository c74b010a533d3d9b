package dev.grpsqlite.bench.workload;

import dev.grpsqlite.bench.report.Figure;
import java.util.List;

/** Work that is done in several places, which are compared. */
public interface Workload {
  /** What to call it on the command line, and its plot. */
  String name();

  /** What one operation is, and what a reader must know to judge the figures. */
  String about();

  /** What was tried to reach the bars: shown where one is missed. May be empty. */
  default String tried() {
    return "";
  }

  /**
   * Makes the databases, untimed.
   *
   * @return the places, the first being the one that the table compares with
   */
  List<Contender> prepare(Rig rig) throws Exception;

  /** The bars, and what came of them. */
  List<Figure> judge(Measured measured);
}
