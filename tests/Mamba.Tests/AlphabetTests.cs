using System.Text;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>Letters and their tokens.</summary>
public class AlphabetTests
{
    [Test]
    public void Dna_is_A_C_G_T_and_N_for_all_that_is_one_of_several()
    {
        Alphabet dna = Alphabet.Dna;
        Assert.That(dna.Encode("ACGTNacgtnUu"), Is.EqualTo(new byte[] { 0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 3, 3 }));
        Assert.That(dna.Encode("RYKMSWBDHVrykmswbdhv"), Is.EqualTo(Enumerable.Repeat((byte)4, 20)));
        Assert.That((dna.Count, dna.Unknown, dna.Name), Is.EqualTo((5, (int?)4, "dna")));
        Assert.That(dna.Decode(dna.Encode("acgu")), Is.EqualTo("ACGT"));
    }

    [Test]
    public void Every_byte_that_is_no_code_of_Iupac_is_no_letter()
    {
        const string Codes = "ACGTUNRYKMSWBDHV";
        for (int c = 0; c < 300; c++)
        {
            bool isLetter = Codes.Contains(char.ToUpperInvariant((char)c), StringComparison.Ordinal) && c < 128;
            Assert.That(Alphabet.Dna.TokenOf((char)c) >= 0, Is.EqualTo(isLetter), $"U+{c:X4}");
        }
        Assert.That(Alphabet.Dna.TokenOf((char)('A' + 256)), Is.EqualTo(-1));       // not the low byte of it
    }

    [Test]
    public void Other_letters_are_numbered_as_given_and_both_cases_are_two()
    {
        var alphabet = Alphabet.OfLetters("xX -", unknown: '-');
        Assert.That(alphabet.Encode("-X x"), Is.EqualTo(new byte[] { 3, 1, 2, 0 }));
        Assert.That(alphabet.Encode("-X x"u8), Is.EqualTo(new byte[] { 3, 1, 2, 0 }));
        Assert.That((alphabet.Count, alphabet.Unknown, Alphabet.OfLetters("a").Unknown), Is.EqualTo((4, (int?)3, (int?)null)));
        Assert.That(Enumerable.Range(0, 4).Select(alphabet.LetterOf), Is.EqualTo("xX -"));
        Assert.That(alphabet.Encode(""), Is.Empty);
    }

    [Test]
    public void A_letter_outside_is_named_with_its_place()
    {
        Assert.That(DataFolder.Refused(() => Alphabet.Dna.Encode("ACJ")),
            Is.EqualTo("Alphabet: letter 3: 'J' is no letter of dna (A, C, G, T, N; other codes of IUPAC are read as N)."));
        Assert.That(DataFolder.Refused(() => Alphabet.OfLetters("ab").Encode("ac"u8)),
            Is.EqualTo("Alphabet: letter 2: 'c' is no letter of the alphabet (a, b)."));
        Assert.That(DataFolder.Refused(() => Alphabet.Dna.Encode("é")), Does.Contain("the character U+00E9"));
        Assert.That(DataFolder.Refused(() => Alphabet.Dna.Encode(Encoding.UTF8.GetBytes("é"))), Does.Contain("the byte 0xC3"));
        Assert.That(DataFolder.Refused(() => Alphabet.Dna.LetterOf(5)), Does.Contain("token 5").And.Contain("0 to 4"));
        Assert.That(DataFolder.Refused(() => Alphabet.Dna.LetterOf(-1)), Does.Contain("token -1"));
    }

    [TestCase("", null, "no letter")]
    [TestCase("aba", null, "'a' comes twice")]
    [TestCase("aé", null, "U+00E9")]
    [TestCase("a\n", null, "U+000A")]
    [TestCase("ab", 'c', "'c'")]
    public void An_alphabet_that_is_none_is_refused(string letters, char? unknown, string says) =>
        Assert.That(DataFolder.Refused(() => Alphabet.OfLetters(letters, unknown)), Does.Contain(says));
}
