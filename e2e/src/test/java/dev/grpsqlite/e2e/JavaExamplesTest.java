package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** What the READMEs of the Java examples say to type, on other ports. */
class JavaExamplesTest {
  private static final Pattern BEST = Pattern.compile("the best: (\\d+) hours in (agent/\\S+)\n");
  private static final Pattern FIRST = Pattern.compile("at first: (\\d+) hours in (agent/\\S+)\n");

  @Test
  void aWebServiceWithADatabaseForEachTenant() throws Exception {
    List<String> commands = readme("java-tenants");
    assertEquals("make dist && dist/bin/rocksdb-server --data data\n", commands.get(0));
    try (Program service = start("exec " + commands.get(1).replace("8080", "0"))) {
      String line = service.line();
      assertTrue(line != null && line.startsWith("listening on 127.0.0.1:"), line);
      String port = line.substring(line.lastIndexOf(':') + 1);
      try (Program curl = start(commands.get(2).replace("8080", port))) {
        assertEquals("1 buy milk\n", curl.finish().ok());
      }
    }
  }

  @Test
  void anAgentThatTriesThingsInForks() throws Exception {
    List<String> commands = readme("java-agent");
    String output;
    try (Program agent = start("exec " + commands.get(1))) {
      output = agent.finish().ok();
    }
    Matcher first = FIRST.matcher(output);
    Matcher best = BEST.matcher(output);
    assertTrue(first.find() && best.find(), output);
    assertTrue(Integer.parseInt(best.group(1)) < Integer.parseInt(first.group(1)), output);
    Client client = new Client(Dist.root(), Kind.ROCKSDB.server().url());
    assertEquals("40\n", client.shell(best.group(2), "SELECT count(*) FROM job;").ok());
  }

  private static List<String> readme(String example) throws Exception {
    Matcher block =
        Pattern.compile("```sh\n(.*?)```", Pattern.DOTALL)
            .matcher(Files.readString(Dist.root().resolve("examples/" + example + "/README.md")));
    List<String> blocks = new ArrayList<>();
    while (block.find()) {
      blocks.add(block.group(1));
    }
    return blocks;
  }

  private static Program start(String command) throws Exception {
    return Program.start(
        Dist.root(),
        Map.of("GRPSQLITE_URL", Kind.ROCKSDB.server().url()),
        List.of("/bin/sh", "-c", command));
  }
}
