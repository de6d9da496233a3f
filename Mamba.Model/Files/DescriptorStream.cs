using System.Runtime.InteropServices;

namespace Mamba;

/// <summary>
/// Writes to a descriptor that somebody else opened, as the standard output is: where it stands, be it a pipe, a terminal or a
/// file that others write to as well, and leaves it open.
/// </summary>
/// <param name="descriptor">Its number.</param>
internal sealed unsafe partial class DescriptorStream(int descriptor) : Stream
{
    const int Interrupted = 4;

    public override bool CanRead => false;
    public override bool CanSeek => false;
    public override bool CanWrite => true;
    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        fixed (byte* start = buffer)
        {
            for (int done = 0; done < buffer.Length;)
            {
                nint written = Write(descriptor, start + done, (nuint)(buffer.Length - done));
                if (written >= 0)
                {
                    done += (int)written;
                    continue;
                }
                int error = Marshal.GetLastPInvokeError();
                if (error == (OperatingSystem.IsMacOS() ? 35 : 11))         // EAGAIN: a pipe that does not wait for its reader
                    Thread.Sleep(1);
                else if (error != Interrupted)
                    throw new IOException(Marshal.GetPInvokeErrorMessage(error));
            }
        }
    }

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));
    public override void Flush() { }
    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
    public override void SetLength(long value) => throw new NotSupportedException();

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static partial nint Write(int descriptor, byte* buffer, nuint count);
}
