package dev.grpsqlite.server.memory;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** A backend depends on the SPI and on nothing else of the server. */
class BackendKnowsNoWireTest {
  @Test
  void noClassOfTheBackendNamesGrpcOrProtobufOrTheServersOtherRooms() throws Exception {
    Path classes =
        Path.of(MemoryPageStore.class.getProtectionDomain().getCodeSource().getLocation().toURI());
    List<Path> files;
    try (Stream<Path> walk = Files.walk(classes)) {
      files = walk.filter(file -> file.toString().endsWith(".class")).toList();
    }
    assertTrue(files.size() >= 4, () -> "classes: " + files);
    for (Path file : files) {
      String constants = read(file);
      for (String foreign :
          List.of(
              "io/grpc/",
              "com/google/",
              "dev/grpsqlite/proto/",
              "dev/grpsqlite/server/session/",
              "dev/grpsqlite/server/page/",
              "dev/grpsqlite/server/file/",
              "dev/grpsqlite/server/wire/",
              "dev/grpsqlite/server/launch/")) {
        assertFalse(constants.contains(foreign), () -> file + " names " + foreign);
      }
    }
  }

  private static String read(Path file) throws IOException {
    return new String(Files.readAllBytes(file), StandardCharsets.ISO_8859_1);
  }
}
