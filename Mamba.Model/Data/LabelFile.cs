namespace Mamba;

/// <summary>A text of labels: one a line, or <c>name,label</c> (a tab will do) a line.</summary>
public sealed class LabelFile
{
    LabelFile() => throw new NotImplementedException();

    /// <summary>How many labels there are.</summary>
    public int Count => throw new NotImplementedException();

    /// <summary>Whether each line names its sequence.</summary>
    public bool HasNames => throw new NotImplementedException();

    /// <summary>Reads it.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="MambaException">It cannot be read, or a line makes no sense.</exception>
    public static LabelFile Read(string path) => throw new NotImplementedException();

    /// <summary>The label of a sequence.</summary>
    /// <param name="index">Its place, from 0: what counts where there are no names.</param>
    /// <param name="name">Its name: what counts where there are.</param>
    /// <exception cref="MambaException">It has none.</exception>
    public string LabelOf(int index, string name) => throw new NotImplementedException();

    /// <summary>The labels of all sequences, none of them left over.</summary>
    /// <param name="names">Of the sequences.</param>
    /// <exception cref="MambaException">A sequence has no label, or a label no sequence.</exception>
    public IReadOnlyList<string> LabelsOf(IReadOnlyList<string> names) => throw new NotImplementedException();
}
