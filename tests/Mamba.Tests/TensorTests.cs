using System.Reflection;
using System.Runtime.Loader;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>What can be done with a tensor besides computing: making, writing, indexing, showing.</summary>
public class TensorTests
{
    static Device Cpu => TestDevices.Open("cpu-256");

    static Tensor Numbered(Shape shape, DType dtype = DType.Float64, Device? device = null) => dtype == DType.Int32
        ? Tensor.From<int>([.. Enumerable.Range(0, (int)shape.Count)], shape, device ?? Cpu)
        : Tensor.From([.. Enumerable.Range(0, (int)shape.Count).Select(i => (double)i)], shape, dtype, device ?? Cpu);

    // ---- making ------------------------------------------------------------------------------------

    [Test]
    public void Arrays_of_one_two_and_three_axes_become_tensors_row_by_row()
    {
        using var scope = new TensorScope();
        Tensor one = Tensor.From([1f, 2f, 3f], Cpu), two = Tensor.From(new double[,] { { 1, 2, 3 }, { 4, 5, 6 } }, Cpu);
        Tensor three = Tensor.From(new[, ,] { { { 1 }, { 2 } }, { { 3 }, { 4 } } }, Cpu);
        Assert.Multiple(() =>
        {
            Assert.That((one.Shape, one.DType), Is.EqualTo((new Shape(3), DType.Float32)));
            Assert.That((two.Shape, two.DType), Is.EqualTo((new Shape(2, 3), DType.Float64)));
            Assert.That((three.Shape, three.DType), Is.EqualTo((new Shape(2, 2, 1), DType.Int32)));
            Assert.That(one.ToArray<float>(), Is.EqualTo(new float[] { 1, 2, 3 }));
            Assert.That(two.ToArray<double>(), Is.EqualTo(new double[] { 1, 2, 3, 4, 5, 6 }));
            Assert.That(three.ToArray<int>(), Is.EqualTo(new[] { 1, 2, 3, 4 }));
            Assert.That(Tensor.From(new float[0, 3], Cpu).Shape, Is.EqualTo(new Shape(0, 3)));
            Assert.That(Tensor.From(new float[2, 0, 3], Cpu).Shape, Is.EqualTo(new Shape(2, 0, 3)));
            Assert.That(Tensor.From(Array.Empty<float>(), Cpu).Shape, Is.EqualTo(new Shape(0)));
            Assert.That(() => Tensor.From(new byte[1, 1], Cpu), Throws.TypeOf<MambaException>());
        });
    }

    // ---- writing in place --------------------------------------------------------------------------

    [Test]
    public void Writing_in_place_changes_a_tensor_and_what_looks_into_it(
        [ValueSource(typeof(TestDevices), nameof(TestDevices.Fast))] string device, [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        using var scope = new TensorScope();
        Tensor x = Tensor.Zeros((3, 2), dtype, TestDevices.Open(device)), row = x.Rows(1, 1);
        row.Fill(0.5);
        Assert.That(x.ToDoubles(), Is.EqualTo(new[] { 0, 0, 0.5, 0.5, 0, 0 }));
        x.WriteRounded([1, 2, 3, 4, 5, 1.0 / 3]);
        Assert.That(x.ToDoubles()[5], Is.EqualTo(dtype == DType.Float32 ? 1f / 3 : 1.0 / 3));
        row.CopyFrom(Tensor.From([7.0, 8.0], (1, 2), dtype, x.Device));
        Assert.That(x.ToDoubles()[..5], Is.EqualTo(new double[] { 1, 2, 7, 8, 5 }));
        if (dtype == DType.Float32)
            x.Write<float>(new float[6]);
        else
            x.Write<double>(new double[6]);
        Assert.That(x.ToDoubles(), Is.EqualTo(new double[6]));
    }

    [Test]
    public void Fill_reaches_every_element_of_a_long_tensor_and_no_other([ValueSource(typeof(TestDevices), nameof(TestDevices.Fast))] string device)
    {
        using var scope = new TensorScope();
        foreach (DType dtype in new[] { DType.Float32, DType.Float64, DType.Int32 })
            foreach (int count in new[] { 0, 1, 65536, 65537, 140000 })
            {
                Tensor x = Tensor.Zeros(count + 2, dtype, TestDevices.Open(device));
                x.Rows(1, count).Fill(-3);
                Assert.That(x.ToDoubles(), Is.EqualTo((double[])[0, .. Enumerable.Repeat(-3.0, count), 0]), $"{count} of {dtype}");
                x.Rows(1, count).Fill(0);
                Assert.That(x.ToDoubles(), Is.All.Zero);
            }
        Tensor one = Tensor.Zeros(1, DType.Float64, Cpu);
        one.Fill(-0.0);
        Assert.That(double.IsNegative(one.Item()), "the sign of a zero stays");
        one.Fill(double.NaN);
        Assert.That(one.Item(), Is.NaN);
    }

    [Test]
    public void What_does_not_fit_is_refused_in_one_line()
    {
        using var scope = new TensorScope();
        Tensor x = Tensor.Zeros((2, 3), DType.Float64, Cpu), ids = Tensor.Zeros(2, DType.Int32, Cpu);
        void Refused(Action write, string message) => Assert.That(write, Throws.TypeOf<MambaException>().With.Message.EqualTo(message));
        const string Expected = "expected float64 (2, 3) on cpu, as the tensor it is copied to.";
        Refused(() => x.CopyFrom(x.View((3, 2))), "CopyFrom: the source is float64 (3, 2) on cpu; " + Expected);
        Refused(() => x.CopyFrom(x.To(DType.Float32)), "CopyFrom: the source is float32 (2, 3) on cpu; " + Expected);
        Assert.That(() => x.CopyFrom(x.To(TestDevices.Open("cpu-128"))), Throws.TypeOf<MambaException>(), "another device");
        Refused(() => x.Write<double>(new double[5]), "Tensor: 5 values of float64 do not fill (2, 3) of float64.");
        Refused(() => x.Write<float>(new float[6]), "Tensor: 6 values of float32 do not fill (2, 3) of float64.");
        Refused(() => x.WriteRounded(new double[7]), "Tensor: 7 values of float64 do not fill (2, 3) of float64.");
        Refused(() => ids.WriteRounded([1, 2]), "Tensor: floating-point values cannot become int32.");
        Refused(() => ids.Fill(0.5), "Fill: the value is 0.5; an int32 tensor takes whole numbers of 32 bits.");
        Refused(() => ids.Fill(1e10), "Fill: the value is 10000000000; an int32 tensor takes whole numbers of 32 bits.");
        Refused(() => ids.Fill(double.NaN), "Fill: the value is NaN; an int32 tensor takes whole numbers of 32 bits.");
    }

    [Test]
    public void What_an_op_on_an_open_tape_made_is_not_overwritten()
    {
        using var scope = new TensorScope();
        Tensor x = Tape.Watch(Numbered(3)), y;
        using (var tape = new Tape())
        {
            y = tape.Keep(x * 2);
            const string Made = ": an op on an open tape made the tensor float64 (3) on cpu, and gradients may need its values; write to a Clone.";
            foreach (Tensor part in new[] { y, y.Detach() })
            {
                Assert.That(() => part.Fill(1), Throws.TypeOf<MambaException>().With.Message.EqualTo("Fill" + Made));
                Assert.That(() => part.Write<double>(new double[3]), Throws.TypeOf<MambaException>().With.Message.EqualTo("Write" + Made));
                Assert.That(() => part.WriteRounded(new double[3]), Throws.TypeOf<MambaException>().With.Message.EqualTo("Write" + Made));
                Assert.That(() => part.CopyFrom(x), Throws.TypeOf<MambaException>().With.Message.EqualTo("CopyFrom" + Made));
            }
            x.Fill(5);          // an input may be
            Tensor constant = Numbered(3) * 2;
            constant.Fill(1);   // and what no tape remembers
        }
        Assert.That(y.ToDoubles(), Is.EqualTo(new double[] { 0, 2, 4 }));
        y.Fill(1);
        Assert.That(y.ToDoubles(), Is.All.EqualTo(1));
    }

    [Test]
    public void An_unowned_tensor_outlives_its_scope_also_through_a_view()
    {
        using Gpu.HostDevice device = new(threads: 1);
        Tensor a, b;
        using (new TensorScope())
        {
            a = Numbered(3, device: device).Unowned();
            b = Numbered((2, 2), device: device).Rows(1, 1).Unowned();
        }
        Assert.That(a.ToDoubles(), Is.EqualTo(new double[] { 0, 1, 2 }));
        Assert.That(b.ToDoubles(), Is.EqualTo(new double[] { 2, 3 }));
        Assert.That(device.Memory.LiveBuffers, Is.EqualTo(2));
        a.Dispose();
        b.Root.Dispose();
        Assert.That(device.Memory.LiveBuffers, Is.Zero);
    }

    // ---- indexing ----------------------------------------------------------------------------------

    [Test]
    public void An_index_drops_its_axis_and_a_range_keeps_it(
        [ValueSource(typeof(TestDevices), nameof(TestDevices.Fast))] string device, [Values(DType.Float32, DType.Float64, DType.Int32)] DType dtype)
    {
        using var scope = new TensorScope();
        Tensor x = Numbered((3, 4, 5), dtype, TestDevices.Open(device));
        double[] Values(Func<int, int, int, bool> where) =>
        [
            .. from i in Enumerable.Range(0, 3)
               from j in Enumerable.Range(0, 4)
               from k in Enumerable.Range(0, 5)
               where @where(i, j, k)
               select (i * 4.0 + j) * 5 + k,
        ];
        void Expect(Tensor y, Shape shape, Func<int, int, int, bool> where)
        {
            Assert.That(y.Shape, Is.EqualTo(shape));
            Assert.That(y.ToDoubles(), Is.EqualTo(Values(where)));
        }
        Expect(x[0], (4, 5), (i, _, _) => i == 0);
        Expect(x[^1], (4, 5), (i, _, _) => i == 2);
        Expect(x[1L], (4, 5), (i, _, _) => i == 1);
        Expect(x[1..3], (2, 4, 5), (i, _, _) => i >= 1);
        Expect(x[..^1], (2, 4, 5), (i, _, _) => i < 2);
        Expect(x[.., ^1], (3, 5), (_, j, _) => j == 3);
        Expect(x[0, .., 2..], (4, 3), (i, _, k) => i == 0 && k >= 2);
        Expect(x[.., 1..2, 3], (3, 1), (_, j, k) => j == 1 && k == 3);
        Expect(x[2, 3, 4], new Shape(), (i, j, k) => i == 2 && j == 3 && k == 4);
        Expect(x[.., .., ..], (3, 4, 5), (_, _, _) => true);
        Expect(x[1..1], (0, 4, 5), (_, _, _) => false);
        Expect(x[.., 4..], (3, 0, 5), (_, _, _) => false);
        Assert.That(x[1].Buffer, Is.SameAs(x.Buffer), "a run of memory is not copied");
        Assert.That(Numbered(7)[^2].Item(), Is.EqualTo(5));
    }

    [Test]
    public void Gradients_go_back_to_where_the_elements_came_from()
    {
        using var tape = new Tape();
        Tensor x = Tape.Watch(Numbered((2, 3, 2)));
        Tensor y = x[1, 1.., 0];
        Assert.That(tape.Backward([(y, Tensor.From([5.0, 7.0], Cpu))])[x].ToDoubles(), Is.EqualTo(new double[] { 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 7, 0 }));
    }

    [Test]
    public void Indices_outside_are_refused_in_one_line()
    {
        using var scope = new TensorScope();
        Tensor x = Numbered((3, 4));
        void Refused(Func<Tensor> index, string message) => Assert.That(index, Throws.TypeOf<MambaException>().With.Message.EqualTo(message));
        Refused(() => x[3], "Index: 3 is outside axis 0 of (3, 4), whose extent is 3.");
        Refused(() => x[-1], "Index: -1 is outside axis 0 of (3, 4), whose extent is 3; ^1 counts from the end.");
        Refused(() => x[.., ^5], "Index: ^5 is outside axis 1 of (3, 4), whose extent is 4.");
        Refused(() => x[.., ^0], "Index: ^0 is outside axis 1 of (3, 4), whose extent is 4.");
        Refused(() => x[.., 2..5], "Index: 2..5 is outside axis 1 of (3, 4), whose extent is 4.");
        Refused(() => x[.., 3..2], "Index: 3..2 is outside axis 1 of (3, 4), whose extent is 4.");
        Refused(() => x[0, 0, 0], "Index: 3 indices; expected at most 2, the axes of (3, 4).");
        Refused(() => Numbered(new Shape())[0], "Index: 1 indices; expected at most 0, the axes of ().");
    }

    [Test]
    public void The_first_index_brings_in_the_assembly_that_has_the_op()
    {
        // everything anew, so that nothing has used Mamba.Autograd before
        var context = new Fresh(Path.GetDirectoryName(typeof(Tensor).Assembly.Location)!);
        Type tensor = context.LoadFromAssemblyName(new("Mamba.Tensor")).GetType("Mamba.Tensor")!;
        Assert.That(context.Assemblies.Select(a => a.GetName().Name), Does.Not.Contain("Mamba.Autograd"));
        MethodInfo load = tensor.GetMethod("LoadIndexer", BindingFlags.NonPublic | BindingFlags.Static)!;
        Assert.That(load.Invoke(null, null), Is.Not.Null);
        Assert.That(context.Assemblies.Select(a => a.GetName().Name), Does.Contain("Mamba.Autograd"));
        context.Unload();
    }

    sealed class Fresh(string folder) : AssemblyLoadContext("fresh", isCollectible: true)
    {
        protected override Assembly? Load(AssemblyName name)
        {
            string file = Path.Combine(folder, name.Name + ".dll");
            return name.Name!.StartsWith("Mamba", StringComparison.Ordinal) && File.Exists(file) ? LoadFromAssemblyPath(file) : null;
        }
    }

    // ---- showing -----------------------------------------------------------------------------------

    [Test]
    public void A_tensor_shows_its_values()
    {
        using var scope = new TensorScope();
        void Shows(Tensor x, string text) => Assert.That(x.ToString(), Is.EqualTo($"{x.Describe()}\n{text}"));
        Assert.That(Numbered((2, 3)).Describe(), Is.EqualTo("float64 (2, 3) on cpu"));
        Shows(Numbered((2, 3)), "[[0. 1. 2.]\n [3. 4. 5.]]");
        Shows(Numbered((2, 2, 1), DType.Int32), "[[[0]\n  [1]]\n\n [[2]\n  [3]]]");
        Shows(Tensor.From([0.5f, -1.25f, 10], Cpu), "[ 0.50 -1.25 10.00]");
        Shows(Tensor.From([1.0 / 3], Cpu), "[0.3333]");
        Shows(Tensor.From([1e-9, 1], Cpu), "[1.0000e-09 1.0000e+00]");
        Shows(Tensor.From([1, double.NaN, double.NegativeInfinity], Cpu), "[  1.  nan -inf]");
        Shows(Tensor.From([-7, 100], Cpu), "[ -7 100]");
        Shows(Tensor.From([2.5], new Shape(), Cpu), "2.5");
        Shows(Numbered((2, 0)), "[]");
        Tensor gone = Numbered(2);
        gone.Dispose();
        Shows(gone, "(released)");
    }

    [Test]
    public void Of_a_large_tensor_the_ends_are_shown_and_only_they_are_fetched()
    {
        using var scope = new TensorScope();
        Assert.That(Numbered(1000).ToString(), Does.EndWith(" 998. 999.]").And.Not.Contain("..."));
        Assert.That(Numbered(1001).ToString(), Is.EqualTo("float64 (1001) on cpu\n[   0.    1.    2. ...  998.  999. 1000.]"));
        Assert.That(Numbered((1000, 2)).ToString(), Is.EqualTo(
            "float64 (1000, 2) on cpu\n[[   0.    1.]\n [   2.    3.]\n [   4.    5.]\n ...\n [1994. 1995.]\n [1996. 1997.]\n [1998. 1999.]]"));
        Assert.That(Numbered((2, 3, 7, 40), DType.Int32).ToString().Split('\n'), Has.Length.LessThan(60));
        Assert.That(Numbered(new Shape(2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2), DType.Int32).ToString(), Does.EndWith("[2046 2047]]]]]]]]]]]"));
        using Counting device = new();
        _ = Tensor.Zeros((1000, 1000, 4), DType.Float32, device).ToString();
        Assert.That(device.Fetched, Is.EqualTo(6 * 6 * 4 * 4));
    }

    [Test]
    public void Messages_name_a_tensor_without_fetching_it()
    {
        using var scope = new TensorScope();
        using Counting device = new();
        Tensor x = Tensor.Zeros((2, 3), DType.Float32, device);
        Assert.That(new MambaException($"x is {x}.").Message, Is.EqualTo("x is float32 (2, 3) on counting."));
        Assert.That(device.Fetched, Is.Zero);
    }

    /// <summary>Counts the bytes that are fetched; holds no values.</summary>
    sealed class Counting : Device
    {
        public long Fetched { get; private set; }
        public override string Name => "counting";
        public override string Description => "";
        public override bool SupportsFloat64 => true;
        public override void Synchronize() { }
        protected internal override DeviceBuffer Allocate(long bytes) => new Nothing(bytes);
        protected internal override void Upload(ReadOnlySpan<byte> source, DeviceBuffer target, long byteOffset) { }
        protected internal override void Download(DeviceBuffer source, long byteOffset, Span<byte> target) => Fetched += target.Length;
        protected internal override void Copy(DeviceBuffer source, long sourceOffset, DeviceBuffer target, long targetOffset, long bytes) { }
        protected internal override void Clear(DeviceBuffer target, long byteOffset, long bytes) { }

        sealed class Nothing(long bytes) : DeviceBuffer(bytes)
        {
            protected override void Dispose(bool disposing) { }
        }
    }
}
