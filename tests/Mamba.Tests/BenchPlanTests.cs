using Mamba.Bench;
using NUnit.Framework;

namespace Mamba.Tests;

public class BenchPlanTests
{
    static readonly Size Large = new(8, 1024, 256), Small = new(32, 64, 128);

    [Test]
    public void A_full_run_has_every_size_and_a_quick_one_says_what_it_leaves_out()
    {
        Plan full = new(), quick = new() { Quick = true };
        Assert.That(full.Sizes("scan", [Large, Small], size => size == Small), Is.EqualTo((Size[])[Large, Small]));
        Assert.That(quick.Sizes("scan", [Large, Small], size => size == Small), Is.EqualTo((Size[])[Small]));
        Assert.That(quick.Choose("ops", ["a", "b", "c", "d"], name => name, name => name == "d"), Is.EqualTo((string[])["d"]));
        Assert.That(quick.Choose("all of it", [1, 2], i => $"{i}", _ => true), Is.EqualTo((int[])[1, 2]));
        Assert.That(full.LeftOut, Is.Empty);
        Assert.That(quick.LeftOut, Is.EqualTo((string[])["scan: 1 of 2 (b 8, l 1024, d 256)", "ops: 3 of 4 (a; b; …)"]));
    }

    [Test]
    public void A_size_that_was_given_stands_alone_and_takes_the_rest_from_the_first()
    {
        var plan = new Plan { Length = 7, States = 4 };
        Assert.That(plan.Sizes("scan", [Large, Small], size => size == Small), Is.EqualTo((Size[])[new(8, 7, 256, 4)]));
        Assert.That((plan with { Quick = true }).Sizes("scan", [Large, Small], size => size == Small), Is.EqualTo((Size[])[new(32, 7, 128, 4)]));
        Assert.That(new Plan { Batch = 1, Width = 2 }.Of(Large), Is.EqualTo(new Size(1, 1024, 2)));
        Assert.That(plan.LeftOut, Is.Empty);
    }

    [Test]
    public void A_name_has_the_states_only_where_they_are_not_the_usual_ones()
    {
        Assert.That($"{Large}", Is.EqualTo("b 8, l 1024, d 256"), "as rows were always called");
        Assert.That($"{Large with { N = 32 }}", Is.EqualTo("b 8, l 1024, d 256, n 32"));
    }

    [Test]
    public void A_row_takes_less_in_a_quick_run_and_what_was_given_in_any()
    {
        Assert.That(new Plan().Effort(15, 50, 2000), Is.EqualTo((15, 50d, 2000d)));
        Assert.That(new Plan { Quick = true }.Effort(15, 50, 2000), Is.EqualTo((5, 20d, 150d)));
        Assert.That(new Plan { Quick = true }.Effort(3, 0, 100), Is.EqualTo((3, 0d, 100d)), "never more than a full run");
        Assert.That(new Plan { Quick = true, Milliseconds = 700 }.Effort(15, 50, 2000), Is.EqualTo((3, 700d, 700d)));
    }

    [Test]
    public void Only_a_whole_run_is_for_the_folder_of_the_machine()
    {
        Assert.That(new Plan().Whole, Is.True);
        Plan whole = new();
        Plan[] others = [whole with { Quick = true }, whole with { Milliseconds = 1 }, whole with { Batch = 1 }, whole with { Length = 1 },
            whole with { Width = 1 }, whole with { States = 1 }];
        Assert.That(others.Select(plan => plan.Whole), Is.All.False);
    }

    [Test]
    public void A_size_that_a_benchmark_has_no_use_for_is_one_line()
    {
        var plan = new Plan { Width = 1, States = 2 };
        Assert.That(() => plan.ExpectUse("ops", Dimensions.Width | Dimensions.Batch),
            Throws.TypeOf<MambaException>().With.Message.EqualTo("ops has no use for --states; expected --batch, --width."));
        Assert.That(() => plan.ExpectUse("micro", Dimensions.None),
            Throws.TypeOf<MambaException>().With.Message.EqualTo("micro has no use for --width, --states; expected no size."));
        Assert.That(() => plan.ExpectUse("scan", Dimensions.Width | Dimensions.States), Throws.Nothing);
    }
}
