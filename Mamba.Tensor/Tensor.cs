using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Mamba;

/// <summary>
/// A dense, row-major array on one device. The innermost open <see cref="TensorScope"/> owns it; without one it lives until
/// <see cref="Dispose"/>.
/// </summary>
/// <remarks>
/// What an op made never changes. Parameters, buffers and states may be written in place, by <see cref="CopyFrom"/>, <see cref="Write{T}"/>,
/// <see cref="WriteRounded"/> and <see cref="Fill"/>. An op on an open tape looks at its inputs again on the way back, so write before it
/// runs or after <c>Tape.Backward</c>, not between: its gradients would be those of the new values.
/// </remarks>
[DebuggerDisplay("{Describe(),nq}")]
public sealed partial class Tensor : IDisposable
{
    readonly Tensor? owner;        // of the buffer, when this is a view
    DeviceBuffer? buffer;

    Tensor(Shape shape, DType dtype, Device device, DeviceBuffer? buffer, Tensor? owner, long offset)
    {
        Shape = shape;
        DType = dtype;
        Device = device;
        this.buffer = buffer;
        this.owner = owner;
        Offset = offset;
    }

    /// <summary>The extents, outermost first.</summary>
    public Shape Shape { get; }

    /// <summary>Element type.</summary>
    public DType DType { get; }

    /// <summary>Where the values are.</summary>
    public Device Device { get; }

    /// <summary>Number of elements.</summary>
    public long Count => Shape.Count;

    /// <summary>First element, counted in elements from the start of the buffer.</summary>
    internal long Offset { get; }

    internal TensorScope? Scope { get; set; }

    /// <summary>
    /// Whether the tape remembers ops on this tensor: it is a parameter, watched, or made from one that is. To set it is to watch
    /// the tensor, or to freeze it: then it gets no gradient, and ops on it alone are not remembered.
    /// </summary>
    /// <exception cref="MambaException">
    /// It is set to true and the tensor holds int32, or to false and an op on an open tape made it: what goes into that op is to be frozen
    /// then, or <see cref="Detach"/> to be used.
    /// </exception>
    public bool RequiresGrad
    {
        get;
        set
        {
            if (value && DType == DType.Int32)
                throw new MambaException($"RequiresGrad: the tensor is {Describe()}; only float32 and float64 have gradients.");
            if (!value && IsRecorded)
                throw new MambaException($"RequiresGrad: an op on an open tape made the tensor {Describe()}, so it cannot be frozen; "
                    + $"Detach gives its values without a gradient.");
            field = value;
            if (!value)
                RetainsGrad = false;
        }
    }

    /// <summary>Whether the gradient of this tensor is wanted even though an op made it: <see cref="RetainGrad"/>.</summary>
    internal bool RetainsGrad { get; private set; }

    /// <summary>The tape that remembers the op that made this tensor; null for an input of the computation.</summary>
    internal TensorScope? RecordedOn { get; private set; }

    /// <summary>Whether an op on an open tape made this tensor.</summary>
    internal bool IsRecorded => RecordedOn is { IsOpen: true };

    /// <summary>The set of parameters this tensor is one of.</summary>
    internal object? Owner { get; set; }

    internal DeviceBuffer Buffer => (owner is null ? buffer : owner.buffer)
        ?? throw new ObjectDisposedException(nameof(Tensor),
            $"The tensor {Shape} was released: its scope is closed, or it was disposed. TensorScope.Keep carries a tensor out of a scope.");

    long ByteOffset => Offset * DType.Size();

    // ---- making ----------------------------------------------------------------------------------

    /// <summary>A tensor whose values are not set yet.</summary>
    public static Tensor Empty(Shape shape, DType dtype, Device device)
    {
        device.Require(dtype);
        long bytes = checked(shape.Count * dtype.Size());
        DeviceBuffer rented = device.Memory.Guard is null
            ? device.Memory.Rent(bytes, out long start, shape: shape)
            : device.Memory.Rent(bytes, out start, dtype.Size(), $"a tensor {dtype.Name()} {shape}", shape);
        var tensor = new Tensor(shape, dtype, device, rented, owner: null, start / dtype.Size());
        TensorScope.Current?.Add(tensor);
        return tensor;
    }

    /// <summary>A tensor of zeros.</summary>
    public static Tensor Zeros(Shape shape, DType dtype, Device device)
    {
        Tensor tensor = Empty(shape, dtype, device);
        tensor.Clear();
        return tensor;
    }

    /// <summary>A copy of <paramref name="values"/> on <paramref name="device"/>; T is float, double or int.</summary>
    public static Tensor From<T>(ReadOnlySpan<T> values, Shape shape, Device device) where T : unmanaged
    {
        Tensor tensor = Empty(shape, DTypeOf<T>(), device);
        tensor.Write(values);
        return tensor;
    }

    /// <inheritdoc cref="From{T}(ReadOnlySpan{T}, Shape, Device)"/>
    public static Tensor From<T>(T[] values, Shape shape, Device device) where T : unmanaged => From<T>(values.AsSpan(), shape, device);

    /// <summary>(n): a copy of <paramref name="values"/> on <paramref name="device"/>; T is float, double or int.</summary>
    public static Tensor From<T>(T[] values, Device device) where T : unmanaged => From<T>(values.AsSpan(), values.LongLength, device);

    /// <summary>(m, n): a copy of <paramref name="values"/>, [row, column], on <paramref name="device"/>; T is float, double or int.</summary>
    public static Tensor From<T>(T[,] values, Device device) where T : unmanaged =>
        From(Flat<T>(values), (values.GetLongLength(0), values.GetLongLength(1)), device);

    /// <summary>(k, m, n): a copy of <paramref name="values"/> on <paramref name="device"/>; T is float, double or int.</summary>
    public static Tensor From<T>(T[,,] values, Device device) where T : unmanaged =>
        From(Flat<T>(values), (values.GetLongLength(0), values.GetLongLength(1), values.GetLongLength(2)), device);

    // the elements of an array of several axes, which lie row by row as those of a tensor
    static ReadOnlySpan<T> Flat<T>(Array values) where T : unmanaged => values.Length == 0
        ? []
        : MemoryMarshal.CreateReadOnlySpan(ref Unsafe.As<byte, T>(ref MemoryMarshal.GetArrayDataReference(values)), values.Length);

    /// <summary>A copy of <paramref name="values"/>, rounded to <paramref name="dtype"/>.</summary>
    public static Tensor From(ReadOnlySpan<double> values, Shape shape, DType dtype, Device device)
    {
        Tensor tensor = Empty(shape, dtype, device);
        tensor.WriteRounded(values);
        return tensor;
    }

    /// <summary>A tensor of the same shape, dtype and device, not set yet.</summary>
    public Tensor Like() => Empty(Shape, DType, Device);

    /// <summary>A tensor of another shape on the same device and of the same dtype, not set yet.</summary>
    public Tensor Like(Shape shape) => Empty(shape, DType, Device);

    /// <summary>The same values in the same memory, without a gradient: what is computed from it does not reach this tensor on the way back.</summary>
    public Tensor Detach() => MakeView(Shape, Offset);

    /// <summary>
    /// The same values under another shape, without a copy, and without a gradient, as <see cref="Detach"/>; <c>Reshape</c> (in Mamba.Autograd)
    /// is the op.
    /// </summary>
    /// <exception cref="MambaException">The shape has another number of elements.</exception>
    public Tensor View(Shape shape) => shape.Count == Count
        ? MakeView(shape, Offset)
        : throw new MambaException($"View: {Shape} has {Count} elements; {shape} has {shape.Count}.");

    /// <summary>
    /// Rows <paramref name="start"/> to <paramref name="start"/> + <paramref name="count"/> of the outermost axis, without a copy and without a
    /// gradient; <c>x[start..end]</c> is the op.
    /// </summary>
    /// <exception cref="MambaException">There are no such rows.</exception>
    public Tensor Rows(long start, long count)
    {
        if (start < 0 || count < 0 || start + count > Shape[0])
            throw new MambaException($"Rows: {start} to {start + count} is outside the outermost axis of {Shape}.");
        long row = Shape[1..].Count;
        return MakeView(new Shape([count, .. Shape[1..].ToArray()]), Offset + start * row);
    }

    Tensor MakeView(Shape shape, long offset) => new(shape, DType, Device, buffer: null, owner ?? this, offset);

    /// <summary><paramref name="shape"/> elements from element <paramref name="start"/> of this tensor, without a copy.</summary>
    internal Tensor Part(long start, Shape shape) => MakeView(shape, Offset + start);

    /// <summary>The tensor that holds the buffer: this one, or the one it looks into.</summary>
    internal Tensor Root => owner ?? this;

    /// <summary>Whether this tensor looks into another's buffer.</summary>
    public bool IsView => owner is not null;

    // ---- reading and writing ---------------------------------------------------------------------

    /// <summary>The values as an array of the tensor's own element type.</summary>
    public T[] ToArray<T>() where T : unmanaged
    {
        if (DTypeOf<T>() != DType)
            throw new MambaException($"ToArray: the tensor {Shape} is {DType.Name()}; {DTypeOf<T>().Name()} was asked for. ToDoubles converts.");
        T[] values = new T[Count];
        Device.Download(Buffer, ByteOffset, MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }

    /// <summary>The values as float64, whatever the dtype.</summary>
    public double[] ToDoubles() => DType switch
    {
        DType.Float64 => ToArray<double>(),
        DType.Float32 => Array.ConvertAll(ToArray<float>(), x => (double)x),
        _ => Array.ConvertAll(ToArray<int>(), x => (double)x),
    };

    /// <summary>The value of a tensor of one element.</summary>
    public double Item() => Count == 1
        ? ToDoubles()[0]
        : throw new MambaException($"Item: the tensor {Shape} has {Count} elements; expected one.");

    /// <summary>A copy on <paramref name="device"/>.</summary>
    public Tensor To(Device device) => To(device, DType);

    /// <summary>Whether no element is infinite or NaN; found on the host.</summary>
    internal bool IsFinite() => Array.TrueForAll(ToDoubles(), double.IsFinite);

    /// <summary>A copy in <paramref name="dtype"/>, rounded to nearest.</summary>
    public Tensor To(DType dtype) => To(Device, dtype);

    /// <summary>A copy on <paramref name="device"/> in <paramref name="dtype"/>.</summary>
    public Tensor To(Device device, DType dtype)
    {
        Tensor copy = Empty(Shape, dtype, device);
        if (dtype == DType && device == Device)
        {
            copy.CopyFrom(this);
        }
        else if (dtype == DType)
        {
            byte[] bytes = new byte[checked(Count * DType.Size())];
            Device.Download(Buffer, ByteOffset, bytes);
            device.Upload(bytes, copy.Buffer, 0);
        }
        else
        {
            copy.WriteRounded(ToDoubles());
        }
        return copy;
    }

    /// <summary>A copy on the same device, in the same dtype.</summary>
    public Tensor Clone() => To(Device, DType);

    // ---- writing in place: parameters, buffers, states --------------------------------------------

    /// <summary>
    /// Overwrites the values with those of <paramref name="source"/>. For parameters, buffers and states; see the remarks of <see cref="Tensor"/>.
    /// </summary>
    /// <exception cref="MambaException">The source has another shape, dtype or device, or an op on an open tape made this tensor.</exception>
    public void CopyFrom(Tensor source)
    {
        if (source.Shape != Shape || source.DType != DType || source.Device != Device)
            throw new MambaException($"CopyFrom: the source is {source.Describe()}; expected {Describe()}, as the tensor it is copied to.");
        ExpectWritable("CopyFrom");
        Device.Copy(source.Buffer, source.ByteOffset, Buffer, ByteOffset, Count * DType.Size());
    }

    /// <summary>Overwrites the values, in row-major order. For parameters, buffers and states; see the remarks of <see cref="Tensor"/>.</summary>
    /// <typeparam name="T">The tensor's own element type: float, double or int.</typeparam>
    /// <exception cref="MambaException">Their number or type is not the tensor's, or an op on an open tape made this tensor.</exception>
    public void Write<T>(ReadOnlySpan<T> values) where T : unmanaged
    {
        if (values.Length != Count || DTypeOf<T>() != DType)
            throw new MambaException($"Tensor: {values.Length} values of {DTypeOf<T>().Name()} do not fill {Shape} of {DType.Name()}.");
        ExpectWritable("Write");
        Device.Upload(MemoryMarshal.AsBytes(values), Buffer, ByteOffset);
    }

    /// <summary>Sets every element. For parameters, buffers and states; see the remarks of <see cref="Tensor"/>.</summary>
    /// <param name="value">Rounded to the tensor's dtype; for int32 a whole number.</param>
    /// <exception cref="MambaException">An int32 cannot hold the value, or an op on an open tape made this tensor.</exception>
    public void Fill(double value)
    {
        if (DType == DType.Int32 && (value != Math.Floor(value) || value is < int.MinValue or > int.MaxValue))
            throw new MambaException($"Fill: the value is {value}; an int32 tensor takes whole numbers of 32 bits.");
        ExpectWritable("Fill");
        if (BitConverter.DoubleToInt64Bits(value) == 0)
            Clear();
        else if (DType == DType.Float64)
            Repeat(value);
        else if (DType == DType.Float32)
            Repeat((float)value);
        else
            Repeat((int)value);
    }

    internal void Clear() => Device.Clear(Buffer, ByteOffset, Count * DType.Size());

    void Repeat<T>(T value) where T : unmanaged
    {
        T[] part = new T[Math.Min(Count, 1 << 16)];
        Array.Fill(part, value);
        for (long done = 0; done < Count; done += part.Length)
            Device.Upload(MemoryMarshal.AsBytes(part.AsSpan(0, (int)Math.Min(part.Length, Count - done))), Buffer, (Offset + done) * DType.Size());
    }

    void ExpectWritable(string method)
    {
        if (IsRecorded || Root.IsRecorded)
            throw new MambaException($"{method}: an op on an open tape made the tensor {Describe()}, and gradients may need its values; write to a Clone.");
    }

    /// <summary>
    /// Overwrites the values with <paramref name="values"/>, rounded to the tensor's dtype. For parameters, buffers and states; see the remarks
    /// of <see cref="Tensor"/>.
    /// </summary>
    /// <exception cref="MambaException">Their number is not the tensor's, the tensor holds int32, or an op on an open tape made it.</exception>
    public void WriteRounded(ReadOnlySpan<double> values)
    {
        if (DType == DType.Float64)
        {
            Write(values);
        }
        else if (DType == DType.Float32)
        {
            float[] rounded = new float[values.Length];
            for (int i = 0; i < rounded.Length; i++)
                rounded[i] = (float)values[i];
            Write<float>(rounded);
        }
        else
        {
            throw new MambaException("Tensor: floating-point values cannot become int32.");
        }
    }

    // ---- gradients -------------------------------------------------------------------------------

    /// <summary>
    /// Asks for the gradient of this tensor even if an op made it: then <c>gradients[h]</c> has it. <c>Tape.Watch</c> under PyTorch's name; to be
    /// called before the gradient is computed.
    /// </summary>
    /// <returns>This tensor.</returns>
    public Tensor RetainGrad()
    {
        RequiresGrad = true;
        RetainsGrad = true;
        return this;
    }

    /// <summary>What a tape notes on the output of an op it remembers.</summary>
    internal void SetRecorded(TensorScope tape)
    {
        RequiresGrad = true;
        RecordedOn = tape;
    }

    // ---- ending ----------------------------------------------------------------------------------

    /// <summary>
    /// Takes this tensor out of its scope, so that it outlives it: <see cref="Dispose"/> it when it is done with. Of a view, what it looks into.
    /// </summary>
    /// <returns>This tensor.</returns>
    public Tensor Unowned()
    {
        Root.Scope?.Remove(Root);
        Root.Scope = null;
        return this;
    }

    /// <summary>Gives the buffer back now. A view gives back nothing.</summary>
    public void Dispose()
    {
        Scope?.Remove(this);
        Release();
    }

    internal void Release()
    {
        Scope = null;
        if (buffer is null)
            return;
        Device.Memory.Return(buffer);
        buffer = null;
    }

    /// <summary>What it is, without its values, as messages say it: <c>float32 (2, 3) on cpu</c>.</summary>
    public string Describe() => $"{DType.Name()} {Shape} on {Device}";

    /// <summary>What it is, and its values: all of them up to 1000, else those at the ends of each axis. Waits for the device.</summary>
    public override string ToString() => $"{Describe()}\n{(owner is null ? buffer : owner.buffer) switch { null => "(released)", _ => TensorText.Of(this) }}";

    /// <summary>Elements <paramref name="start"/> to <paramref name="start"/> + <paramref name="count"/>, in row-major order, as float64.</summary>
    internal double[] Read(long start, long count) => Part(start, count).ToDoubles();

    static DType DTypeOf<T>() => typeof(T) == typeof(float) ? DType.Float32
        : typeof(T) == typeof(double) ? DType.Float64
        : typeof(T) == typeof(int) ? DType.Int32
        : throw new MambaException($"Tensor: {typeof(T).Name} is not an element type; float, double and int are.");
}
