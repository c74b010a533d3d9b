package dev.grpsqlite.e2e;

import java.io.IOException;

/** A connection of another process, which is told what to do: {@code session.py}. */
final class Session implements AutoCloseable {
  private final Program program;

  private Session(Program program) {
    this.program = program;
  }

  static Session open(Client client, String database) throws Exception {
    Program program = client.startPython("session.py", database);
    program.readTo("--");
    return new Session(program);
  }

  /** Runs one statement: its rows, one a line, or a line that begins with "error: ". */
  String answer(String sql) throws Exception {
    program.send(sql + "\n");
    return program.readTo("--");
  }

  Program program() {
    return program;
  }

  /** Closes the connection and waits for the end of the process. */
  void finish() throws Exception {
    program.finish().ok();
  }

  @Override
  public void close() throws IOException {
    program.close();
  }
}
