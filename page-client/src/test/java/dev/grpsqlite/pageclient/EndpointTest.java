package dev.grpsqlite.pageclient;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A server's URL is what it is to the extension. */
class EndpointTest {
  private static Endpoint endpoint(String url) {
    Duration second = Duration.ofSeconds(1);
    return new Endpoint(url, null, new Endpoint.Tls(null, null, null), second, second);
  }

  @ParameterizedTest
  @CsvSource({
    "http://127.0.0.1, http://127.0.0.1:50051",
    "https://db.example, https://db.example:443",
    "HTTP://DB.example:7/, http://db.example:7",
    "http://[::1], http://[::1]:50051",
    "unix:/a@b, unix:/a@b",
  })
  void aPortThatIsNotSaidIsTheExtensions(String given, String canonical) {
    assertEquals(canonical, endpoint(given).url());
  }

  @Test
  void aListIsSplitAtCommasThatAnAddressFollows() {
    Endpoint several = endpoint("unix:/a,b,http://x, http://y:1");
    assertEquals(List.of("unix:/a,b", "http://x:50051", "http://y:1"), several.urls());
    assertEquals("unix:/a,b,http://x:50051,http://y:1", several.url());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "http://me:secret@host",
        "ftp://me:secret@host",
        "http://me:se,cret@host",
        "http://a,http://me:secret@host",
        "unix:/a,http://me:se,cret@host",
      })
  void aUserIsRefusedAndItsPasswordNotShown(String url) {
    String why =
        String.valueOf(
            assertThrows(IllegalArgumentException.class, () -> endpoint(url)).getMessage());
    assertTrue(why.contains("has a user name"), why);
    assertFalse(why.contains("se") && why.contains("cret"), why);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "ftp://x",
        "unix:",
        "http://",
        "http://x/path",
        "http://x:0",
        "http://x:99999",
        "http://[::1",
        "http://x,",
        "http://x,http://X:50051",
        "http://x,https://y",
      })
  void whatTheExtensionRefusesIsRefused(String url) {
    assertThrows(IllegalArgumentException.class, () -> endpoint(url));
  }
}
