package dev.grpsqlite.cli;

import dev.grpsqlite.cli.Refusal.Kind;
import dev.grpsqlite.pageclient.ServerConnection;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParentCommand;

@Command(name = "history", description = "List the versions that a database still has.")
final class HistoryCommand implements Callable<Integer> {
  @ParentCommand private @Nullable Main main;

  @Parameters(paramLabel = "NAME", description = "The database.")
  private String name = "";

  @Option(names = "--limit", paramLabel = "N", description = "The newest so many. Default: all.")
  private long limit = Long.MAX_VALUE;

  @Override
  public Integer call() throws IOException {
    if (limit < 1) {
      throw new Refusal(Kind.USAGE, "--limit is at least 1");
    }
    Main top = Commands.of(main);
    List<Map<String, Object>> shapes = new ArrayList<>();
    try (ServerConnection connection = top.server().connect()) {
      connection
          .admin()
          .history(
              name,
              limit,
              version -> {
                long pageCount = Integer.toUnsignedLong(version.getPageCount());
                String at = Quantity.time(version.getCommittedAt());
                if (top.json()) {
                  Map<String, Object> shape = new LinkedHashMap<>();
                  shape.put("version", version.getVersion());
                  shape.put("committed_at", at);
                  shape.put("pages_changed", Integer.toUnsignedLong(version.getPagesChanged()));
                  shape.put("page_size", version.getPageSize());
                  shape.put("page_count", pageCount);
                  shapes.add(shape);
                } else {
                  top.out()
                      .printf(
                          "%10d  %-30s  %9s, %d pages changed%n",
                          version.getVersion(),
                          at,
                          Quantity.bytes((double) pageCount * version.getPageSize()),
                          Integer.toUnsignedLong(version.getPagesChanged()));
                }
              });
    }
    if (top.json()) {
      Map<String, Object> shape = new LinkedHashMap<>();
      shape.put("name", name);
      shape.put("versions", shapes);
      top.out().println(Json.of(shape));
    }
    return 0;
  }
}
