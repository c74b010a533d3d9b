package dev.grpsqlite.server.wire;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.grpsqlite.server.spi.StoreException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class StatusesTest {
  private static String said(String message) {
    StoreException error = new StoreException(StoreException.Code.NO_SUCH_DATABASE, message);
    return String.valueOf(Statuses.of(error).getStatus().getDescription());
  }

  @Test
  void aMessageIsSaidAsItIs() {
    assertEquals("no database is called a b.db", said("no database is called a b.db"));
  }

  /**
   * A client that follows HTTP/2 to the letter takes such a header for the end of the connection.
   */
  @ParameterizedTest
  @ValueSource(strings = {"no database is called a ", " is no name", "\ttoo", "nor this\n"})
  void noBlankIsAtAnEndOfIt(String message) {
    assertEquals('"' + message + '"', said(message));
  }
}
