package dev.grpsqlite.conformance;

/** What a server can be asked to conform to. */
enum Service {
  /** {@code grpc_vfs.Grpsqlite}. */
  FILE("file"),
  /** {@code grpsqlite.v1.PageStore}, and {@code grpsqlite.v1.Admin} where there is one. */
  PAGE("page");

  private final String word;

  Service(String word) {
    this.word = word;
  }

  /** As the command line has it. */
  String word() {
    return word;
  }
}
