package dev.grpsqlite.bench.baseline;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.bench.proxy.DelayProxy;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.Timeout.ThreadMode;
import org.junit.jupiter.api.io.TempDir;

/** The client itself checks that as many bytes come as it asked for, and ends if not. */
@Timeout(value = 60, threadMode = ThreadMode.SEPARATE_THREAD)
class EchoTest {
  @TempDir Path folder;

  @Test
  void callsTakeARoundTripEachAndAStreamTakesFewForManyMessages() throws Exception {
    try (Echo.ServerProcess server = Echo.ServerProcess.start(folder);
        DelayProxy far = new DelayProxy(server.port(), Duration.ofMillis(20));
        Echo echo = Echo.start(folder, far.url())) {
      double call = echo.unary(100, 50, 1);
      for (int i = 0; i < 5; i++) {
        call =
            Math.min(call, echo.unary(100, 50, 1)); // the first ones wait for classes and compilers
      }
      assertTrue(call >= 0.020, call + " s for a call");
      assertTrue(call < 0.2, call + " s for a call");
      double large = echo.unary(100_000, 2_000_000, 1);
      assertTrue(large >= 0.020, large + " s for a large call");
      // One message for each round trip would take four seconds.
      double stream = echo.stream(200 * 4096, 4096);
      assertTrue(stream >= 0.020, stream + " s for a stream");
      assertTrue(stream < 2, stream + " s for a stream");
    }
  }

  @Test
  void aServerThatIsGoneIsNoMeasurement() throws Exception {
    try (Echo.ServerProcess server = Echo.ServerProcess.start(folder);
        Echo echo = Echo.start(folder, "http://127.0.0.1:" + server.port())) {
      assertTrue(echo.unary(8, 8, 1) > 0);
      server.program().kill();
      assertThrows(IOException.class, () -> echo.unary(8, 8, 1));
    }
  }
}
