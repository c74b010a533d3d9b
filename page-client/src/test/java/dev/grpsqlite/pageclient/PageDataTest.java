package dev.grpsqlite.pageclient;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import dev.grpsqlite.proto.v1.Page;
import io.grpc.Status;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Pages on their way out and in. */
class PageDataTest {
  private static final int PAGE_SIZE = 512;
  private final byte[] bytes = new byte[3 * PAGE_SIZE];

  private Page outgoing(int seed) {
    new Random(seed).nextBytes(bytes);
    return PageData.outgoing(7, bytes, PAGE_SIZE, PAGE_SIZE);
  }

  @Test
  void whatGoesOutComesInWhereItIsWanted() {
    Page page = outgoing(1);
    byte[] to = new byte[3 * PAGE_SIZE];
    PageData.incoming(page, PAGE_SIZE, to, 2 * PAGE_SIZE);
    byte[] expected = new byte[3 * PAGE_SIZE];
    System.arraycopy(bytes, PAGE_SIZE, expected, 2 * PAGE_SIZE, PAGE_SIZE);
    assertArrayEquals(expected, to);
  }

  @Test
  void zerosAreNotSentAndComeBackAsZeros() {
    Page page = PageData.outgoing(7, bytes, PAGE_SIZE, PAGE_SIZE);
    assertEquals(Page.newBuilder().setNumber(7).build(), page);
    byte[] to = new byte[3 * PAGE_SIZE];
    Arrays.fill(to, (byte) 1);
    PageData.incoming(page, PAGE_SIZE, to, PAGE_SIZE);
    byte[] expected = new byte[3 * PAGE_SIZE];
    Arrays.fill(expected, (byte) 1);
    Arrays.fill(expected, PAGE_SIZE, 2 * PAGE_SIZE, (byte) 0);
    assertArrayEquals(expected, to);
    bytes[2 * PAGE_SIZE - 1] = 1;
    assertEquals(PAGE_SIZE, PageData.outgoing(7, bytes, PAGE_SIZE, PAGE_SIZE).getData().size());
  }

  @Test
  void oneBitThatChangedOnTheWayIsSeen() {
    Page page = outgoing(2);
    byte[] data = page.getData().toByteArray();
    data[PAGE_SIZE / 2] ^= 4;
    assertDamaged(page.toBuilder().setData(ByteString.copyFrom(data)).build(), "its checksum");
    assertDamaged(page.toBuilder().setChecksum(page.getChecksum() + 1).build(), "its checksum");
    assertDamaged(page.toBuilder().setData(page.getData().substring(1)).build(), "511 bytes");
  }

  private static void assertDamaged(Page page, String how) {
    RemoteException e =
        assertThrows(
            RemoteException.class,
            () -> PageData.incoming(page, PAGE_SIZE, new byte[PAGE_SIZE], 0));
    assertEquals(Status.Code.DATA_LOSS, e.code());
    assertTrue(e.is("CHECKSUM_MISMATCH"));
    assertTrue(e.getMessage().contains("page 7") && e.getMessage().contains(how), e.getMessage());
  }
}
