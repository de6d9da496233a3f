namespace Mamba.Pictures;

/// <summary>As what a picture is written.</summary>
[Flags]
internal enum PictureFormats
{
    /// <summary>Pixels.</summary>
    Png = 1,

    /// <summary>Lines and text.</summary>
    Svg = 2,

    /// <summary>One file of each.</summary>
    Both = Png | Svg,
}
