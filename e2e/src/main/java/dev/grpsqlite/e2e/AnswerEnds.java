package dev.grpsqlite.e2e;

/** Finds the ends of answers in the bytes of an HTTP/2 server. Reads frame headers alone. */
final class AnswerEnds {
  private static final int FRAME_HEADER_BYTES = 9;
  private static final int HEADERS = 1;
  private static final int END_STREAM = 1;

  private final byte[] header = new byte[FRAME_HEADER_BYTES];
  private int headerBytes;
  private int payloadBytesLeft;
  private boolean isEnd;

  /** Goes on with the next bytes of the connection; whether an answer ended in them. */
  boolean follow(byte[] bytes, int length) {
    boolean ended = false;
    int at = 0;
    while (at < length) {
      if (payloadBytesLeft > 0) {
        int skipped = Math.min(payloadBytesLeft, length - at);
        at += skipped;
        payloadBytesLeft -= skipped;
      } else {
        header[headerBytes++] = bytes[at++];
      }
      if (headerBytes == FRAME_HEADER_BYTES) {
        payloadBytesLeft = (header[0] & 255) << 16 | (header[1] & 255) << 8 | (header[2] & 255);
        headerBytes = 0;
        isEnd = header[3] == HEADERS && (header[4] & END_STREAM) != 0;
      }
      if (isEnd && payloadBytesLeft == 0 && headerBytes == 0) {
        ended = true;
        isEnd = false;
      }
    }
    return ended;
  }
}
