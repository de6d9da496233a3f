using NUnit.Framework;

namespace Mamba.Tests;

public class ShapesTests
{
    static readonly DType[] DTypes = [DType.Float64, DType.Float32, DType.Int32];

    // 0, 1, 2, …: every element says where it was
    static Tensor Numbered(Shape shape, DType dtype, Device device) => dtype == DType.Int32
        ? Tensor.From<int>([.. Enumerable.Range(0, (int)shape.Count)], shape, device)
        : Tensor.From([.. Enumerable.Range(0, (int)shape.Count).Select(i => (double)i)], shape, dtype, device);

    // element (i0, i1, …) of a result of that shape
    static double[] Each(Shape shape, Func<long[], double> element)
    {
        double[] values = new double[shape.Count];
        long[] index = new long[shape.Rank];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = element(index);
            for (int axis = shape.Rank - 1; axis >= 0 && ++index[axis] == shape[axis]; axis--)
                index[axis] = 0;
        }
        return values;
    }

    static double At(Shape shape, params long[] index)
    {
        long at = 0;
        for (int axis = 0; axis < index.Length; axis++)
            at = at * shape[axis] + index[axis];
        return at;
    }

    [Test]
    public void Permute_moves_each_element_to_its_place([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device)
    {
        foreach (DType dtype in DTypes)
            foreach (int[] axes in new int[][] { [0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0], [-1, 0, 1] })
            {
                using var scope = new TensorScope();
                Shape from = (3, 5, 17);
                Tensor y = Numbered(from, dtype, TestDevices.Open(device)).Permute(axes);
                Assert.That(y.Shape, Is.EqualTo(new Shape([.. axes.Select(axis => from[(axis + 3) % 3])])));
                Assert.That(y.ToDoubles(), Is.EqualTo(Each(y.Shape, index =>
                {
                    long[] at = new long[3];
                    for (int i = 0; i < 3; i++)
                        at[(axes[i] + 3) % 3] = index[i];
                    return At(from, at);
                })));
            }
    }

    [Test]
    public void A_transpose_of_any_size_moves_each_element_to_its_place([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device)
    {
        foreach (DType dtype in DTypes)
            foreach (long rows in new[] { 1, 4, 7, 16, 33 })
                foreach (long columns in new[] { 1, 3, 4, 16, 21, 35 })
                {
                    using var scope = new TensorScope();
                    Shape from = (2, rows, columns);
                    Tensor y = Numbered(from, dtype, TestDevices.Open(device)).Transpose();
                    Assert.That(y.ToDoubles(), Is.EqualTo(Each((2, columns, rows), i => At(from, i[0], i[2], i[1]))), from.ToString());
                }
    }

    [Test]
    public void Five_axes_can_all_be_reversed([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device)
    {
        using var scope = new TensorScope();
        var from = new Shape(2, 3, 2, 3, 4);
        Tensor y = Numbered(from, DType.Float32, TestDevices.Open(device)).Permute(4, 3, 2, 1, 0);
        Assert.That(y.ToDoubles(), Is.EqualTo(Each(y.Shape, i => At(from, i[4], i[3], i[2], i[1], i[0]))));
    }

    [Test]
    public void Slice_Split_and_Concat_cut_along_any_axis([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device)
    {
        foreach (DType dtype in DTypes)
            foreach (int axis in new[] { 0, 1, 2, -1 })
            {
                using var scope = new TensorScope();
                Shape from = (5, 6, 37);
                Tensor x = Numbered(from, dtype, TestDevices.Open(device));
                int own = (axis + 3) % 3;
                Tensor slice = x.Slice(axis, 1, 3);
                Assert.That(slice.Shape[own], Is.EqualTo(3));
                int[] first = [.. Enumerable.Range(0, 3).Select(a => own == a ? 1 : 0)];
                Assert.That(slice.ToDoubles(), Is.EqualTo(Each(slice.Shape, i => At(from, i[0] + first[0], i[1] + first[1], i[2] + first[2]))));
                Tensor[] parts = x.Split(axis, 1, 0, 3, from[own] - 4);
                Assert.That(parts[2].ToDoubles(), Is.EqualTo(slice.ToDoubles()));
                Assert.That(parts[1].Count, Is.Zero);
                Tensor whole = Ops.Concat(axis, parts);
                Assert.That(whole.Shape, Is.EqualTo(from));
                Assert.That(whole.ToDoubles(), Is.EqualTo(x.ToDoubles()));
            }
    }

    [Test]
    public void The_columns_of_a_long_matrix_are_cut_by_all_cores([ValueSource(typeof(TestDevices), nameof(TestDevices.Fast))] string device)
    {
        using var scope = new TensorScope();
        Tensor x = Numbered((2048, 36), DType.Float32, TestDevices.Open(device));
        Tensor[] parts = x.Split(-1, 4, 16, 16);
        Assert.That(parts[1].ToDoubles(), Is.EqualTo(Each((2048, 16), i => At((2048, 36), i[0], i[1] + 4))));
        Assert.That(Ops.Concat(-1, parts).ToDoubles(), Is.EqualTo(x.ToDoubles()));
        Tensor wide = Numbered((3, 5000), DType.Float32, x.Device);
        Assert.That(wide.Slice(1, 3, 4001).ToDoubles(), Is.EqualTo(Each((3, 4001), i => At((3, 5000), i[0], i[1] + 3))));
        Assert.That(wide.Transpose().ToDoubles(), Is.EqualTo(Each((5000, 3), i => At((3, 5000), i[1], i[0]))));
    }

    [Test]
    public void What_is_contiguous_is_not_copied()
    {
        using var scope = new TensorScope();
        Tensor x = Numbered((4, 6), DType.Float32, TestDevices.Open("cpu"));
        long live = x.Device.Memory.LiveBytes;
        Tensor[] views = [x.Reshape((2, 12)), x.Slice(0, 1, 2), .. x.Split(0, 1, 3), x.Reshape((1, 24)).Slice(1, 5, 6)];
        Assert.That(x.Device.Memory.LiveBytes, Is.EqualTo(live));
        Assert.That(views[^1].ToDoubles(), Is.EqualTo(new double[] { 5, 6, 7, 8, 9, 10 }));
        Assert.That(views[1].ToDoubles()[0], Is.EqualTo(6));
    }

    [Test]
    public void Gradients_are_the_difference_quotients()
    {
        using var scope = new TensorScope();
        Tensor x = TestData.Random((3, 4, 5), DType.Float64, TestDevices.Open("cpu"), seed: 1);
        Tensor z = TestData.Random((3, 2, 5), DType.Float64, x.Device, seed: 2);
        Assert.Multiple(() =>
        {
            Assert.That(GradCheck.LargestError(xs => [xs[0].Square().Reshape((5, 12)), xs[0].Reshape(60) * 3], [x]), Is.LessThan(1e-8));
            Assert.That(GradCheck.LargestError(xs => [xs[0].Square().Transpose(), xs[0].Transpose(0, 2), xs[0].Permute(1, 2, 0)], [x]), Is.LessThan(1e-8));
            for (int axis = 0; axis < 3; axis++)
            {
                Assert.That(GradCheck.LargestError(xs => [xs[0].Slice(axis, 1, 2).Square(), xs[0].Slice(axis, 0, x.Shape[axis])], [x]), Is.LessThan(1e-8));
                Assert.That(GradCheck.LargestError(xs => xs[0].Split(axis, 1, 0, x.Shape[axis] - 1), [x]), Is.LessThan(1e-8));
                Assert.That(GradCheck.LargestError(xs => [xs[0].Split(axis, 1, x.Shape[axis] - 1)[1].Square()], [x]),
                    Is.LessThan(1e-8), "one piece is not used");
            }
            Assert.That(GradCheck.LargestError(xs => [Ops.Concat(1, xs[0], xs[1], xs[0]).Square()], [x, z]), Is.LessThan(1e-8));
            Assert.That(GradCheck.LargestError(xs => [Ops.Concat(0, xs[0].Reshape(60), xs[1].Reshape(30)).Square()], [x, z]), Is.LessThan(1e-8));
        });
    }

    [Test]
    public void Nothing_is_left_alive_when_the_tape_closes()
    {
        Device device = TestDevices.Open("cpu");
        using var scope = new TensorScope();
        Tensor x = TestData.Random((3, 4, 5), DType.Float64, device, seed: 1);
        int live = device.Memory.LiveBuffers;
        using (var tape = new Tape())
        {
            Tape.Watch(x);
            Tensor[] parts = x.Split(0, 1, 2);
            Tensor y = Ops.Concat(0, parts[1], parts[0]).Transpose().Slice(0, 1, 1) + x.Slice(0, 0, 1).Sum(2);
            Assert.That(tape.Backward(y.Square().Mean())[x].Shape, Is.EqualTo(x.Shape));
        }
        Assert.That(device.Memory.LiveBuffers, Is.EqualTo(live));
    }

    [Test]
    public void What_does_not_fit_is_said_in_one_line()
    {
        using var scope = new TensorScope();
        Tensor x = Tensor.Zeros((2, 3), DType.Float32, TestDevices.Open("cpu")), y = Tensor.Zeros((2, 4), DType.Float32, x.Device);
        Assert.Multiple(() =>
        {
            Assert.That(() => x.Reshape(5), Throws.TypeOf<MambaException>().With.Message.EqualTo("Reshape: x has shape (2, 3), 6 elements; (5) has 5."));
            Assert.That(() => x.Slice(1, 2, 2), Throws.TypeOf<MambaException>().With.Message.EqualTo("Slice: 2 to 4 is outside axis 1 of (2, 3)."));
            Assert.That(() => x.Slice(1, -1, 2), Throws.TypeOf<MambaException>());
            Assert.That(() => x.Split(1, 1, 1),
                Throws.TypeOf<MambaException>().With.Message.EqualTo("Split: sizes (1, 1) do not add up to extent 3 of axis 1 of (2, 3)."));
            Assert.That(() => Ops.Concat(0, x, y),
                Throws.TypeOf<MambaException>().With.Message.EqualTo("Concat: (2, 4) does not continue (2, 3) along axis 0: the other extents differ."));
            Assert.That(() => x.Permute(0, 0),
                Throws.TypeOf<MambaException>().With.Message.EqualTo("Permute: axes are (0, 0); expected each of the 2 axes of (2, 3) once."));
            Assert.That(() => Tensor.Zeros(new Shape(2, 2, 2, 2, 2, 2), DType.Float32, x.Device).Permute(5, 4, 3, 2, 1, 0), Throws.TypeOf<MambaException>()
                .With.Message.Contains("walk over 6 axes after merging; at most 5"));
        });
    }
}
