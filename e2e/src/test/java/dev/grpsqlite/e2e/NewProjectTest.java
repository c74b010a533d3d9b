package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A Maven project that has nothing but the README's dependency and its Java.
 *
 * <p>Our modules come from a repository in a folder, as a release would put them there; the rest
 * from this machine's repository, which the project sees as a remote one, and what that lacks from
 * the network. Its own is a temporary folder: nothing is written to this machine's.
 */
class NewProjectTest {
  private static final String VERSION = "0.1.0-SNAPSHOT";

  /** What a user of vfs-client gets, its parents and itself. */
  private static final List<String> MODULES =
      List.of(
          "proto",
          "server-core",
          "server-memory",
          "server-versioned",
          "server-rocksdb",
          "vfs-native",
          "vfs-jdbc",
          "vfs-client");

  @TempDir Path folder;

  @Test
  void theReadmesJavaRunsInANewProject() throws Exception {
    String xml = blocks("xml").get(0);
    List<String> java = blocks("java");
    assertEquals(2, java.size());
    Path project = Files.createDirectories(folder.resolve("project"));
    write(
        project.resolve("pom.xml"),
        Files.readString(Dist.source("resources/new-project.xml")).replace("@DEPENDENCY@", xml));
    write(project.resolve("src/main/java/Visits.java"), java.get(0));
    write(project.resolve("src/test/java/VisitsTest.java"), java.get(1));
    deploy();
    write(folder.resolve("settings.xml"), settings());

    // Its tests, without a server; then itself, with one.
    String tests = maven(project, "http://127.0.0.1:1", "test").out();
    assertTrue(tests.contains("Tests run: 1, Failures: 0, Errors: 0, Skipped: 0"), tests);
    String url = Kind.MEMORY.server().url();
    String before = visits(maven(project, url, "exec:java").out());
    String after = visits(maven(project, url, "exec:java").out());
    assertEquals(Integer.parseInt(before) + 1, Integer.parseInt(after));
    assertEquals(
        after + "\n",
        new Client(folder, url).shell("visits.db", "SELECT count(*) FROM visit;").ok());
  }

  private static String visits(String output) {
    return output
        .lines()
        .map(line -> line.replaceAll("\u001b\\[\\d*m", ""))
        .filter(line -> line.matches("\\d+"))
        .reduce((a, b) -> b)
        .orElseThrow(() -> new AssertionError(output));
  }

  private static List<String> blocks(String language) throws Exception {
    Matcher block =
        Pattern.compile("```" + language + "\n(.*?)```", Pattern.DOTALL)
            .matcher(Files.readString(Dist.root().resolve("README.md")));
    List<String> blocks = new ArrayList<>();
    while (block.find()) {
      blocks.add(block.group(1));
    }
    return blocks;
  }

  private static void write(Path file, String text) throws Exception {
    Files.createDirectories(file.getParent());
    Files.writeString(file, text);
  }

  private void deploy() throws Exception {
    put("grpsqlite", Dist.root().resolve("pom.xml"), "pom");
    for (String module : MODULES) {
      Path source = Dist.root().resolve(module);
      put(module, source.resolve("pom.xml"), "pom");
      if (!module.equals("vfs-native")) {
        put(module, source.resolve("target/" + module + "-" + VERSION + ".jar"), "jar");
      }
    }
  }

  private void put(String module, Path file, String type) throws Exception {
    Path to = folder.resolve("deployed/dev/grpsqlite/" + module + "/" + VERSION);
    Files.createDirectories(to);
    Files.copy(file, to.resolve(module + "-" + VERSION + "." + type));
  }

  private String settings() {
    String machine =
        System.getProperty(
            "grpsqlite.repository", System.getProperty("user.home") + "/.m2/repository");
    String repositories =
        repository("deployed", folder.resolve("deployed"))
            + repository("machine", Path.of(machine));
    return "<settings><profiles><profile><id>here</id><repositories>"
        + repositories
        + "</repositories><pluginRepositories>"
        + repositories.replace("repository>", "pluginRepository>")
        + "</pluginRepositories></profile></profiles>"
        + "<activeProfiles><activeProfile>here</activeProfile></activeProfiles></settings>";
  }

  private static String repository(String id, Path folder) {
    return "<repository><id>"
        + id
        + "</id><url>"
        + folder.toUri()
        + "</url><releases><checksumPolicy>ignore</checksumPolicy></releases>"
        + "<snapshots><enabled>true</enabled><checksumPolicy>ignore</checksumPolicy></snapshots>"
        + "</repository>";
  }

  private Finished maven(Path project, String url, String... goals) throws Exception {
    List<String> command = new ArrayList<>();
    command.add(System.getenv().getOrDefault("MVN", "mvn"));
    command.addAll(
        List.of(
            "-B",
            "-ntp",
            "-Dstyle.color=never",
            "-s",
            folder.resolve("settings.xml").toString(),
            "-Dmaven.repo.local=" + folder.resolve("repository")));
    command.addAll(List.of(goals));
    try (Program maven = Program.start(project, Map.of("GRPSQLITE_URL", url), command)) {
      Finished finished = maven.finish(Duration.ofMinutes(5));
      assertEquals(0, finished.exit(), finished.toString());
      return finished;
    }
  }
}
