package dev.grpsqlite.pageclient;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.google.protobuf.ByteString;
import dev.grpsqlite.proto.v1.StagePagesRequest;
import io.grpc.Drainable;
import io.grpc.KnownLength;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** The message that is written by hand is the one that the schema says. */
class StageMessageTest {
  private static final StagePagesRequest HEAD =
      StagePagesRequest.newBuilder()
          .setSessionId(ByteString.copyFrom(new byte[16]))
          .setEpoch(1L << 40)
          .setPageSize(512)
          .setBulk(true)
          .build();

  private static void assertSame(int pageSize, long firstPage, int pages) throws Exception {
    byte[] bytes = new byte[(pages + 1) * pageSize];
    new Random(pageSize).nextBytes(bytes);
    // One page of zeros, and one of which the last byte alone is not.
    Arrays.fill(bytes, pageSize, 2 * pageSize, (byte) 0);
    Arrays.fill(bytes, 2 * pageSize, 3 * pageSize - 1, (byte) 0);
    bytes[3 * pageSize - 1] = 1;
    StagePagesRequest.Builder expected = HEAD.toBuilder();
    for (int i = 0; i < pages; i++) {
      expected.addPages(PageData.outgoing(firstPage + i, bytes, i * pageSize, pageSize));
    }
    StageMessage message = new StageMessage(HEAD.toByteString(), pageSize, firstPage, pages, bytes);
    // Twice: a call may be sent again.
    for (int sending = 0; sending < 2; sending++) {
      InputStream stream = StageMessage.METHOD.streamRequest(message);
      int length = ((KnownLength) stream).available();
      ByteArrayOutputStream sent = new ByteArrayOutputStream();
      assertEquals(length, ((Drainable) stream).drainTo(sent));
      assertEquals(length, sent.size());
      assertEquals(expected.build(), StagePagesRequest.parseFrom(sent.toByteArray()));
      assertEquals(0, ((Drainable) stream).drainTo(sent), "drained once more");
    }
  }

  @Test
  void isTheSchemasMessage() throws Exception {
    for (int pageSize : new int[] {512, 4096, 65_536}) {
      assertSame(pageSize, 1, 20);
      assertSame(pageSize, 120, 20); // numbers of one and two bytes
      assertSame(pageSize, 4_294_967_290L, 5); // above what an int holds
    }
  }
}
