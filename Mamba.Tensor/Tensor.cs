using System.Runtime.InteropServices;

namespace Mamba;

/// <summary>
/// A dense, row-major array on one device. Its values never change once written, except by the optimizer.
/// The innermost open <see cref="TensorScope"/> owns it; without one it lives until <see cref="Dispose"/>.
/// </summary>
public sealed class Tensor : IDisposable
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

    /// <summary>Whether the tape remembers ops on this tensor: it is a parameter, watched, or made from one that is.</summary>
    internal bool RequiresGrad { get; set; }

    /// <summary>The set of parameters this tensor is one of.</summary>
    internal object? Owner { get; set; }

    internal DeviceBuffer Buffer => (owner is null ? buffer : owner.buffer)
        ?? throw new ObjectDisposedException(nameof(Tensor), $"The tensor {Shape} was released: its scope is closed, or it was disposed. TensorScope.Keep carries a tensor out of a scope.");

    long ByteOffset => Offset * DType.Size();

    // ---- making ----------------------------------------------------------------------------------

    /// <summary>A tensor whose values are not set yet.</summary>
    public static Tensor Empty(Shape shape, DType dtype, Device device)
    {
        device.Require(dtype);
        long bytes = checked(shape.Count * dtype.Size());
        DeviceBuffer rented = device.Memory.Guard is null ? device.Memory.Rent(bytes, out long start, shape: shape) : device.Memory.Rent(bytes, out start, dtype.Size(), $"a tensor {dtype.Name()} {shape}", shape);
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

    /// <summary>The same values under another shape, without a copy.</summary>
    public Tensor View(Shape shape) => shape.Count == Count
        ? MakeView(shape, Offset)
        : throw new MambaException($"View: {Shape} has {Count} elements; {shape} has {shape.Count}.");

    /// <summary>Rows <paramref name="start"/> to <paramref name="start"/> + <paramref name="count"/> of the outermost axis, without a copy.</summary>
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

    internal void CopyFrom(Tensor source) =>
        Device.Copy(source.Buffer, source.ByteOffset, Buffer, ByteOffset, Count * DType.Size());

    internal void Clear() => Device.Clear(Buffer, ByteOffset, Count * DType.Size());

    internal void Write<T>(ReadOnlySpan<T> values) where T : unmanaged
    {
        if (values.Length != Count || DTypeOf<T>() != DType)
            throw new MambaException($"Tensor: {values.Length} values of {DTypeOf<T>().Name()} do not fill {Shape} of {DType.Name()}.");
        Device.Upload(MemoryMarshal.AsBytes(values), Buffer, ByteOffset);
    }

    internal void WriteRounded(ReadOnlySpan<double> values)
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

    /// <summary>Takes this tensor out of its scope: whoever calls disposes it.</summary>
    internal Tensor Unowned()
    {
        Scope?.Remove(this);
        Scope = null;
        return this;
    }

    // ---- ending ----------------------------------------------------------------------------------

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

    /// <summary>float32 (2, 3) on cpu</summary>
    public override string ToString() => $"{DType.Name()} {Shape} on {Device}";

    static DType DTypeOf<T>() => typeof(T) == typeof(float) ? DType.Float32
        : typeof(T) == typeof(double) ? DType.Float64
        : typeof(T) == typeof(int) ? DType.Int32
        : throw new MambaException($"Tensor: {typeof(T).Name} is not an element type; float, double and int are.");
}
