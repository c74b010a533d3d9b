package dev.grpsqlite.conformance;

import java.util.ArrayList;
import java.util.List;

/** All rules, and the document that lists them. */
final class Rules {
  static final List<Rule> ALL = all();

  private Rules() {}

  private static List<Rule> all() {
    List<Rule> result = new ArrayList<>();
    result.addAll(FileLeaseRules.ALL);
    result.addAll(FileByteRules.ALL);
    result.addAll(FileBatchRules.ALL);
    result.addAll(FileRefusalRules.ALL);
    result.addAll(PageSessionRules.ALL);
    result.addAll(PageMarkRules.ALL);
    result.addAll(PageCommitRules.ALL);
    result.addAll(PageCompressionRules.ALL);
    result.addAll(PageWatchRules.ALL);
    result.addAll(PageVersionRules.ALL);
    return List.copyOf(result);
  }

  /** docs/rules.md. */
  static String document() {
    StringBuilder text = new StringBuilder();
    text.append(
        """
        # Rules of a storage server

        What `dist/bin/grpsqlite-conformance` checks; it wrote this file, too (`--document`). A
        server in whatever language passes if it keeps every required rule of the services that it
        offers and of the capabilities that it names. [writing-a-backend.md](writing-a-backend.md)
        explains them. P1 to P9 are the promises in [ARCHITECTURE.md](../ARCHITECTURE.md). A
        number is never used again for another rule.
        """);
    section(
        text,
        "The file service",
        "`grpc_vfs.Grpsqlite`, proto/src/main/proto/grpc_vfs.proto",
        "FILE");
    section(
        text,
        "The page service",
        "`grpsqlite.v1.PageStore`, proto/src/main/proto/grpsqlite/v1/page_store.proto",
        "PAGE");
    section(
        text,
        "Looking after databases",
        "`grpsqlite.v1.Admin`, proto/src/main/proto/grpsqlite/v1/admin.proto, where a server with"
            + " the page service has it",
        "ADMIN");
    return text.toString();
  }

  private static void section(StringBuilder text, String title, String what, String prefix) {
    text.append("\n## ").append(title).append("\n\n").append(what).append(".\n\n");
    text.append("| | for servers with | |\n|---|---|---|\n");
    for (Rule rule : ALL) {
      if (rule.number().startsWith(prefix + "-")) {
        text.append("| ")
            .append(rule.number())
            .append(" | ")
            .append(rule.need().text())
            .append(" | ")
            .append(rule.isRequired() ? "" : "*Recommended.* ")
            .append(rule.text().replace("|", "\\|"))
            .append(" |\n");
      }
    }
  }
}
